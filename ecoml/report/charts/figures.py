"""Figures on disk and in the page, rendered by vl-convert without a browser or a network."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

from ecoml.errors import LibraryError
from ecoml.outside.folders import cache_folder, write_whole

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing

PIXELS_PER_INCH = 200
"""Resolution of a PNG: sharp in a paper's column and on a slide."""


def save_figure(chart: Drawing, stem: Path) -> None:
    """Write a chart as `stem.png`, `stem.svg` and `stem.pdf`."""
    import vl_convert

    stem.parent.mkdir(parents=True, exist_ok=True)
    svg = vl_convert.vegalite_to_svg(chart.to_dict(validate=False), vl_version=_vegalite_version())
    stem.with_name(f"{stem.name}.svg").write_text(svg, encoding="utf-8")
    stem.with_name(f"{stem.name}.png").write_bytes(vl_convert.svg_to_png(svg, ppi=PIXELS_PER_INCH))
    stem.with_name(f"{stem.name}.pdf").write_bytes(vl_convert.svg_to_pdf(svg))


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
