"""The site: ``make docs`` builds it into docs/_build/html, offline.

Lessons (docs/lessons) are run as they are read, with warnings as errors, and what they gave is kept
in docs/_build/cache while linnet's code is the same; ``-D nb_execution_mode=off`` runs none.
A Chinese lesson has the code cells of its English twin, and takes its outputs from there.
"""

import hashlib
import os
import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

import linnet
from linnet.data import known
from linnet.errors import LinnetError

HERE = Path(__file__).parent
log = logging.getLogger(__name__)

project = "linnet"
author = "the authors of linnet"
version = release = linnet.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
source_suffix = {".md": "myst-nb"}
nitpicky = True

html_theme = "furo"
html_title = f"linnet {release}"
html_copy_source = False
html_show_sphinx = html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {"top_of_page_buttons": []}

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]

# lessons


def state_of_code() -> str:
    """A hash of what a lesson's outputs depend on, except its cells: linnet's code, PyTorch."""
    state = hashlib.sha256(os.environ.get("LINNET_LESSONS", "").encode())
    state.update(version_of("torch").encode())
    for path in sorted(Path(linnet.__file__).parent.rglob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()[:12]


nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "cache" / state_of_code())
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # they would come from another host
suppress_warnings = ["mystnb.unknown_mime_type"]  # Plotly's own; a picture stands beside it

STARTUP = """\
import os
import warnings

warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")  # the kernel's own, when it ends
os.environ["PYTHONWARNINGS"] = "error"  # of what a lesson starts
"""


def prepare_kernels() -> None:
    """Lessons run with warnings as errors, and with nobody's own settings of IPython."""
    home = HERE / "_build" / "ipython"
    (home / "profile_default" / "startup").mkdir(parents=True, exist_ok=True)
    (home / "profile_default" / "startup" / "00-warnings.py").write_text(STARTUP, "utf-8")
    quiet = "get_config().IPKernelApp.log_level = 40\n"
    (home / "profile_default" / "ipython_kernel_config.py").write_text(quiet, "utf-8")
    os.environ["IPYTHONDIR"] = str(home)


prepare_kernels()


def needs_mnist(page: Path) -> bool:
    """Whether a lesson's code reads MNIST."""
    cells = re.findall(
        r"^```\{code-cell\}.*?^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return any(re.search(r"""["']mnist["']""", cell) for cell in cells)


def lacking() -> list[str]:
    """The lessons that cannot be run here, as they need MNIST and it is not there."""
    try:
        known.find("mnist")
    except LinnetError:
        lessons = sorted((HERE / "lessons").glob("*.md"))
        return [f"lessons/{page.name}" for page in lessons if needs_mnist(page)]
    return []


WITHOUT = lacking()
nb_execution_excludepatterns = WITHOUT

# the reference

autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
autodoc_default_options = {"members": True}
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
nitpick_ignore_regex = [
    ("py:.*", r"(np|numpy|torch|nn|pandas|pl|polars|sklearn|matplotlib|PIL|pydantic|abc)\..*"),
    ("py:.*", r"(annotated_types|collections|pathlib|os|typing|zipfile)\..*"),
    # what annotations name and people need not know
    ("py:class", r"linnet\.(estimators\._base\.Built|line\.(problem\.Columns|moments\.\w+))"),
    ("py:class", r"linnet\.(fit\.checkpoint\.Stop|core\.parallel\.World|core\.history\.History)"),
    ("py:class", r"linnet\.(data\.(column|split)\.\w+|objectives\.base\.(Score|Target))"),
    ("py:class", r"linnet\.(networks\.linear\.Linear|runs\.curve\.LearningCurve)"),
    ("py:class", r"Tensor|Array|Axis|Interval|World|Split|Finding|Column|Manifest|Mapping\[str"),
    ("py:class", r"Metrics|Reason|Scores|Yardstick|Codes|Path|CvPlus"),
    ("py:class", r"Importances|Dependence|Slices|Curves|Cut|Threshold|Calibration"),
    ("py:class", r"Decision|Sets|linnet\.insight\.(decision\.Decision|conformal\.Calibration)"),
    ("py:class", r"linnet\.(line\.triangle\.Triangle|data\.pictures\.ground\.Layout)"),
]


def plain_text(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """A docstring is plain text with code in backticks: nothing else in it is markup.

    A paragraph with indented lines is a drawing, and is not changed.
    """
    text: list[str] = []
    for paragraph in "\n".join(lines).split("\n\n"):
        if re.search(r"^[ │├└]", paragraph.strip("\n"), re.MULTILINE):
            text += ["::", "", *(f"   {line}" for line in paragraph.splitlines()), ""]
            continue
        parts = re.split(r"(``.*?``|`[^`]+`)", paragraph, flags=re.DOTALL)
        for place, part in enumerate(parts):
            if place % 2:
                parts[place] = f"``{part.strip('`')}``"
            else:
                parts[place] = re.sub(r"([\\*|_])", r"\\\1", part)
        text += ["".join(parts), ""]
    lines[:] = "\n".join(text).split("\n")


def inside(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace a link to a file outside the site by the name of the file."""
    folder = (HERE / page).parent

    def shown(found: re.Match[str]) -> str:
        text, path = found.groups()
        if (folder / path).resolve().is_relative_to(HERE):
            return found[0]
        name = f"`{path.removeprefix('../')}`"
        return name if text.strip("`") in name else f"{text} ({name})"

    source[0] = re.sub(r"\[([^\]]+)\]\((\.\./[\w./-]+)\)", shown, source[0])


def write_math(writer: Any, node: nodes.Element) -> None:
    """A formula as MathML, which browsers show themselves: MathJax would come from another host."""
    block = isinstance(node, nodes.math_block)
    try:
        formula = tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        log.warning("formula %r: %s", node.astext(), error, location=node)
        formula = writer.encode(node.astext())
    writer.body.append(f'<div class="math">{formula}</div>\n' if block else formula)
    raise nodes.SkipNode


def twin_of(page: str) -> tuple[str, str]:
    """The docname of the same page in the other language, and the name of that language."""
    if page.endswith(".zh"):
        return page.removesuffix(".zh"), "English"
    return f"{page}.zh", "中文"


def add_top(app: Sphinx, tree: nodes.document) -> None:
    """Below a page's title the way to its twin, and a word where it could not be run."""
    page = app.env.docname
    title = next(tree.findall(nodes.title), None)
    if title is None:
        return
    added: list[nodes.Node] = []
    twin, name = twin_of(page)
    if twin in app.env.found_docs:
        reference = addnodes.pending_xref(
            "", nodes.inline("", name), refdomain="std", reftype="doc", reftarget=f"/{twin}",
            refexplicit=True, refwarn=True, refdoc=page,
        )  # fmt: skip
        added.append(nodes.paragraph("", "", reference))
    if f"{page}.md" in WITHOUT:
        word = (
            "本页生成时没有 MNIST 数据，因此代码没有运行，下面没有输出。"
            if page.endswith(".zh")
            else "This page was built without MNIST: its code was not run, and shows no outputs."
        )
        added.append(nodes.note("", nodes.paragraph("", word)))
        log.info("%s is shown without outputs: MNIST is not here", page)
    for node in reversed(added):
        title.parent.insert(title.parent.index(title) + 1, node)


def say_language(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """The language of the page, for browsers."""
    context["language"] = "zh-CN" if page.endswith(".zh") else "en"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))
    app.connect("autodoc-process-docstring", plain_text)
    app.connect("source-read", inside)
    app.connect("doctree-read", add_top)
    app.connect("html-page-context", say_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
