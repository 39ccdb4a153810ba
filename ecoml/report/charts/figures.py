"""Figures on disk and in the page, rendered by vl-convert without a browser or a network."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ecoml.errors import LibraryError
from ecoml.outside.folders import cache_folder, write_whole

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing

Format = Literal["png", "svg", "pdf"]

PIXELS_PER_INCH = 200
"""Resolution of a PNG: sharp in a paper's column and on a slide."""


def save_figure(chart: Drawing, stem: Path, formats: Iterable[Format] = ("png", "svg", "pdf")) -> list[Path]:
    """Write a chart as `stem.png`, `stem.svg`, `stem.pdf`.

    Returns:
        The files written.
    """
    import vl_convert

    stem.parent.mkdir(parents=True, exist_ok=True)
    spec, version = chart.to_dict(validate=False), _vegalite_version()
    svg = vl_convert.vegalite_to_svg(spec, vl_version=version)
    written = []
    for suffix in formats:
        path = stem.with_name(f"{stem.name}.{suffix}")
        match suffix:
            case "png":
                path.write_bytes(vl_convert.svg_to_png(svg, ppi=PIXELS_PER_INCH))
            case "pdf":
                path.write_bytes(vl_convert.svg_to_pdf(svg))
            case "svg":
                path.write_text(svg, encoding="utf-8")
        written.append(path)
    return written


def require_charts() -> None:
    """Refuse to draw without the libraries for charts.

    Raises:
        LibraryError: altair or vl-convert-python is not installed, or cannot be imported here.
    """
    try:
        import altair  # noqa: F401 - whether they are there
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise LibraryError(
            f"charts need {error.name}, which is not installed: pip install altair vl-convert-python"
        ) from None
    except RuntimeError as error:  # altair asks for the home folder as it is imported
        raise LibraryError(f"charts need a home folder ({error}): set HOME to a folder of yours") from None


@cache
def chart_library() -> str:
    """The JavaScript of the page's charts: vega, vega-lite and vega-embed, 0.9 MB, for one inline script.

    It takes two seconds of a processor to put together, and is kept in the user's cache.
    """
    import vl_convert

    version = _vegalite_version()
    name = f"charts-{version_of('vl-convert-python')}-{version}.js"
    with suppress(OSError, UnicodeDecodeError):
        return (cache_folder() / name).read_text(encoding="utf-8")
    library = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version))
    with suppress(OSError):  # without a cache it is put together again
        write_whole(cache_folder() / name, library)
    return library


def _vegalite_version() -> str:
    import altair as alt

    major, minor = alt.SCHEMA_VERSION.lstrip("v").split(".")[:2]
    return f"v{major}_{minor}"
