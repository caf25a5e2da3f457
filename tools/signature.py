"""The estimators' signature and docstring, made from the fields and comments of `Settings`.

`tools.export` rewrites the cell of nbs/use/11_parameters.ipynb that starts with `MARK`, before it
exports anything.
"""
import ast
import itertools
import json
import re
import textwrap
from configparser import ConfigParser
from pathlib import Path

from tools.nb import read
from tools.nb import write as write_notebook

SOURCE, TARGET = "nbs/search/01_settings.ipynb", "nbs/use/11_parameters.ipynb"
MARK = "#| exporti\n# made by tools/signature.py from Settings\n"
LINE = 88  # characters of a generated line
LEFT_OUT = ("c_comb",)  # no mode of an estimator is told of structures to keep away from
OWN = {"graph": ("Graph or None", "None",
                 "what is searched; None: a dense graph of the widths `hidden` with the "
                 "`candidates`"),
       "likelihood": ("str or None", "None",
                      "law of a regression's target; auto chooses by evidence, None is gaussian"),
       "class_weight": ("dict, 'balanced' or None", "None", "how much rows of each class count"),
       "time_limit": ("float or None", "None",
                      "seconds after which the best so far is kept"),
       "random_state": ("int, RandomState or None", "None", "seed of everything that is drawn"),
       "device": ("str", '"cpu"', "where tensors live, as torch names it"),
       "n_jobs": ("int or None", "None",
                  "processes that share the fits; -1 is one a core, None is one, or what "
                  "`joblib.parallel_config` says"),
       "verbose": ("bool", "False", "whether a progress bar is shown")}
ATTRIBUTES = {
    "structure_": ("dict", "edge to its most plausible candidate"),
    "structure_probabilities_": ("dict", "edge to candidate to posterior probability"),
    "ranking_": ("list of dict", "the structures whose evidence was estimated, best first"),
    "path_": ("list of dict", "what `grow` and `shrink` looked at, in that order"),
    "evidence_": ("Evidence", "of the most plausible structure, in nats"),
    "complexity_": ("dict", "complexities of its posterior, in nats"),
    "graph_": ("Graph", "what was searched"),
    "history_": ("list of dict", "a record an epoch"),
    "interrupted_": ("str or None", "the stage that Ctrl-C or the time limit ended"),
    "levels_": ("str", "how the hyperparameters were fitted"),
    "widths_": ("dict", "vertex to its most probable number of units, where a range was given"),
    "live_widths_": ("dict", "vertex to the mean number of units that the rows support"),
    "width_probabilities_": ("dict", "vertex to number of units to probability"),
    "notes_": ("list of str", "what a reader should know"),
    "likelihood_": ("str", "the law of the target"),
    "classes_": ("array", "the labels, of a classifier"),
    "n_features_in_": ("int", "columns of the table"),
    "feature_names_in_": ("array", "their names, where the table has names"),
    "encoder_": ("TableEncoder or None", "how a frame with words, dates or holes was read"),
    "input_span_": ("tensor", "least and largest standardised value of each column of the fit"),
    "input_reach_": ("tensor", "most deviations that a row of the fit is beyond the others"),
    "result_": ("Result", "all that the search returned")}


def settings_cell(nb: dict) -> str:
    "The source of the cell that declares `Settings`."
    return next(c["source"] for c in nb["cells"] if c["cell_type"] == "code"
                and "\nclass Settings:" in c["source"])


def fields(source: str) -> dict[str, tuple[str, str, str]]:
    "Type, default and text of each field."
    tree, lines = ast.parse(source), source.splitlines()
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings").body
    found = {}
    for node in body:
        if isinstance(node, ast.AnnAssign):
            above = itertools.takewhile(lambda line: line.strip().startswith("# "),
                                        reversed(lines[:node.lineno - 1]))
            behind = lines[node.end_lineno - 1].partition("  # ")[2]
            comment = behind or " ".join(line.strip()[2:] for line in reversed([*above]))
            if not comment:
                raise ValueError(f"Settings.{node.target.id} has no comment: say behind it or "
                                 "above it what it is")
            text = re.sub(r"^\.\.\. | \.\.\.$", "", comment)
            value = " ".join(ast.get_source_segment(source, node.value).split())
            found[node.target.id] = (ast.unparse(node.annotation), value, text)
    return found


def cell(parameters: dict[str, tuple[str, str, str]], page: str) -> str:
    "The source of the generated cell; `page` documents it."
    fill = lambda text, first, indent: textwrap.fill(text, LINE, initial_indent=first,
                                                     subsequent_indent=indent,
                                                     break_long_words=False,
                                                     break_on_hyphens=False)
    entry = lambda name, kind, text: (fill(f"{name} : {kind}", " " * 4, " " * 8) + "\n"
                                      + fill(f"{text}.", " " * 8, " " * 8))
    listed = [entry(n, f"{kind}, default={value}", text)
              for n, (kind, value, text) in parameters.items()]
    fitted = [entry(n, *told) for n, told in ATTRIBUTES.items()]
    doc = ['    """What every estimator is told, and what it knows when it is fitted.', "",
           "    Parameters", "    ----------", *listed, "", "    Attributes", "    ----------",
           *fitted, '    """']
    glue = lambda text: text.replace(" ", "\0") if len(text) < 60 else text
    told = " ".join(glue(f"{n}={v}") + "," for n, (_, v, _) in parameters.items())
    signature = fill(f"{told[:-1]}):", "    def __init__(self, *, ", " " * 17).replace("\0", " ")
    names, sets = list(parameters), []
    for i in range(0, len(names), 2):
        part = names[i:i + 2]
        both = f"        {', '.join(f'self.{n}' for n in part)} = {', '.join(part)}"
        sets += [both] if len(both) <= LINE else [f"        self.{n} = {n}" for n in part]
    page_lines = ['    _doc_link_module = "bstruct"',
                  "    # scikit-learn has a property here",
                  "    _doc_link_template = (  # pyright: ignore",
                  f'        "{page}")']
    return "\n".join([f"{MARK}class EstimatorParameters(BaseEstimator):", *doc, "", *page_lines, "",
                      signature, *sets, "", HOOK.strip("\n")])


# scikit-learn shows the texts in its picture of an estimator where it knows a page to link to
HOOK = '''
    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        told = inspect.cleandoc(EstimatorParameters.__doc__ or "")
        own = inspect.cleandoc(cls.__doc__ or cls.__name__)
        if told and "Parameters\\n----------" not in own:
            cls.__doc__ = f"{own}\\n\\n{told.partition(chr(10) * 2)[2]}"
'''


def page_of(root: Path) -> str:
    "The address of the estimators' page."
    config = ConfigParser()
    config.read(root / "settings.ini")
    return f"{config['DEFAULT']['doc_host']}{config['DEFAULT']['doc_baseurl']}/use/estimators.html"


def write(root: Path) -> None:
    "Rewrite the generated cell, where it is not what it should be."
    if not (root / TARGET).exists() or not (root / SOURCE).exists():
        return
    known = {k: v for k, v in fields(settings_cell(read(root / SOURCE))).items()
             if k not in LEFT_OUT} | OWN
    nb, source = read(root / TARGET), cell(known, page_of(root))
    place = next((c for c in nb["cells"] if c["source"].startswith(MARK)), None)
    if place is None:
        raise ValueError(f"{TARGET} has no cell that starts with {json.dumps(MARK)}: write one, "
                         "its rest is made")
    if place["source"] != source:
        place["source"] = source
        write_notebook(nb, root / TARGET)
