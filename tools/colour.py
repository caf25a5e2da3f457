"""Code on a page in colours: Pygments under the class names of pandoc.

Pandoc would load its grammars anew for each of 230 pages, which takes longer than all else that
it does there.
"""
import html
import re
from itertools import groupby

from pygments import lex
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token
from pygments.util import ClassNotFound

FLOW = set("for while if elif else return yield try except finally raise with break continue pass "
           "assert await match case".split())
IMPORTS = {"import", "from", "as"}
CLASSES = {  # the nearest parent of a token that stands here decides
    Comment: "co", String.Doc: "co", String.Interpol: "sc", String: "st", Keyword.Constant: "",
    Keyword: "kw", Operator.Word: "kw", Name.Decorator: "at", Name.Attribute: "at",
    Number.Float: "fl", Number: "dv"}
BLOCK = re.compile(r'<pre class="(?P<lang>python|bash|sh|json|yaml|toml|text)(?P<more>[^"]*)">'
                   r"<code>(?P<text>.*?)</code></pre>", flags=re.S)


def kind(token, text: str) -> str:
    "Pandoc's class of a token, or nothing for plain text."
    if token in Keyword and text in IMPORTS:
        return "im"
    if token in Keyword and token not in Keyword.Constant and text in FLOW:
        return "cf"
    while token is not Token and token not in CLASSES.keys():
        token = token.parent
    return CLASSES.get(token, "")


def painted(code: str, language: str) -> str:
    "A line a span, as pandoc makes them; a language that is not known stays plain."
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return html.escape(code)
    pieces = ((kind(token, text), part) for token, text in lex(code + "\n", lexer)  # ends comments
              for part in re.findall(r"\n|[^\n]+", text))
    lines, before = [""], ""
    for style, group in groupby(pieces, key=lambda p: "\n" if p[1] == "\n" else p[0]):
        plain = "".join(part for _, part in group)
        if style == "st" and not lines[-1].strip() and before.rstrip()[-1:] in ("", ":"):
            style = "co"  # the first line of a body is what documents it
        before, text = before + plain, html.escape(plain)
        if style == "\n":
            lines += [""] * len(text)
        else:
            lines[-1] += f'<span class="{style}">{text}</span>' if style else text
    return "\n".join(f"<span>{line}</span>" for line in lines[:-1])


def coloured(body: str) -> str:
    """The blocks of code of a page, in the form and with the classes of pandoc's.

    `body`: HTML that pandoc made without colours.
    """
    def block(m: re.Match) -> str:
        style = f"sourceCode {m['lang']}"
        text = painted(html.unescape(m["text"]), m["lang"])
        return (f'<div class="sourceCode"><pre class="{style}{m["more"]}"><code class="{style}">'
                f"{text}</code></pre></div>")
    return BLOCK.sub(block, body)
