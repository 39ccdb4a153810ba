"""Sentences on the data of an image training and their treatment, from table [data] of `run.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecoml.format.figures import format_gain, format_score, format_score_interval, named_score, plural
from ecoml.metric import Metric

_NAMED_CLASSES = 12
"""Up to this many classes are listed with their counts; of more, only the smallest and the largest."""

_EXAMPLE = 0.95
"""A score, as an example of how wide its interval is."""

_BACKGROUNDS = {0: "black", 128: "grey", 255: "white"}


def describe_data(data: Mapping[str, Any], metric: Metric) -> list[str]:
    """The sentences about the data that a search prints before it starts.

    Args:
        data: Table [data] of `run.toml`, or `CnnTraining.about.to_dict()`.
        metric: The metric of the search.
    """
    colours = "grey" if data["channels"] == 1 else "in colour"
    size = _size((data["height"], data["width"]))
    drawn = f" ({' and '.join(data['drawn'])} drawn by chance)" if data.get("drawn") else ""
    split = f"{data['train_images']:,} to train on, {data['validation_images']:,} to validate on"
    guess = f"always guessing {data['largest_class']} reaches {named_score(metric, data['guess_score'])}"
    chosen = []
    if data.get("imbalanced") and "score" in data:
        largest = f"{data['largest_class']} has more than twice as many images as the others on average"
        chosen = [f"{largest}; the score is therefore {metric.name} (--metric {data['score']})"]
    sure = format_score_interval(metric, _EXAMPLE, data["validation_counts_as"])
    return [
        f"{data['name']}: {plural(data['images'], 'image')} of {size} pixels, {colours}; {_classes(data)}",
        f"{split}, {data['test_images']:,} to test on{drawn}",
        *describe_treatment(data),
        *chosen,
        f"{guess}, and one validation image is worth up to {format_gain(metric, data['image_worth'])}",
        f"a measured score of {format_score(metric, _EXAMPLE)} on so many images means a true one {sure}",
    ]


def describe_seen(data: Mapping[str, Any]) -> str:
    """The warning that an accuracy on all images of a search says little, because it trained on most of them."""
    return (
        f"the search trained on {data['train_images']:,} of these {data['images']:,} images and chose by"
        f" {data['validation_images']:,} more, so this accuracy is too high; the page has that on the other"
        f" {data['test_images']:,}"
    )


def _classes(data: Mapping[str, Any]) -> str:
    parts = [data.get(part, {}) for part in ("train", "validation", "test")]
    counts = {name: sum(part.get(name, 0) for part in parts) for name in data["train"]}
    if len(counts) <= _NAMED_CLASSES:
        return f"{plural(len(counts), 'class')}: {', '.join(f'{name} {count:,}' for name, count in counts.items())}"
    fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    return f"{len(counts):,} classes of {counts[fewest]:,} ({fewest}) to {counts[most]:,} ({most}) images"


def describe_treatment(data: Mapping[str, Any]) -> list[str]:
    """What was left out, and how the images were changed: a sentence each; none if the images were used as they are."""
    told = []
    if ignored := data.get("ignored"):
        told.append(f"left out: {', '.join(f'{count:,} × {kind}' for kind, count in sorted(ignored.items()))}")
    if data.get("smallest"):
        found = f"{_size(data['smallest'])} pixels"
        if data["largest"] != data["smallest"]:
            found = f"{_size(data['smallest'])} to {_size(data['largest'])} pixels"
        target = _size((data["height"], data["width"]))
        told.append(f"images of {found} were scaled until the shorter side fitted {target}, and cropped to the centre")
    for kind, (low, high) in data.get("ranges", {}).items():
        told.append(f"numbers of {kind} from {low:g} to {high:g} were scaled to the range from black to white")
    if background := data.get("background"):
        told.append(f"transparent pixels became {_BACKGROUNDS.get(background, f'level {background} of 255')}")
    if several := data.get("several"):
        told.append(f"{plural(several, 'file')} with several pictures: the first picture was taken")
    if blank := data.get("blank"):
        told.append(f"{plural(blank, 'image')} show{'s' if blank == 1 else ''} a single colour after that")
    if copies := data.get("copies"):
        stand = "validation or test image is" if copies == 1 else "validation or test images are"
        told.append(f"{copies:,} {stand} among the training images too: scores may be too good")
    return told


def _size(sides: tuple[int, int]) -> str:
    """`500×333`, width first, as usual for pictures."""
    height, width = sides
    return f"{width}×{height}"
