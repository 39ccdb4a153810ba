"""The rules of a search: how it begins, how long trainings go on, whether their first steps are trusted, its end."""
