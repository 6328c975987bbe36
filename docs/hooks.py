"""The site's hooks: a link to a file of the repository, which is no page, becomes the file's path."""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#\s]*)(#[^)\s]*)?\)")
_DOCS = Path(__file__).parent


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Replace the links of one page that lead out of the documentation."""
    folder = (_DOCS / page.file.src_uri).parent

    def replaced(link: "re.Match[str]") -> str:
        target = (folder / link[2]).resolve()
        if target.is_relative_to(_DOCS):
            return link[0]
        return f"{link[1]} (`{target.relative_to(_DOCS.parent)}`)"

    return _LINK.sub(replaced, markdown)
