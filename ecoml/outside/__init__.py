"""What ecoml uses outside itself: servers, and the user's folders."""
