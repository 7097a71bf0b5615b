"""What a browser would send: the fields of a page's form, with what stands in them."""

from html.parser import HTMLParser


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, list[tuple[str, str]]] = {}
        self._fields: list[tuple[str, str]] | None = None
        self._area = ""
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._fields = self.forms.setdefault(given.get("action", ""), [])
        elif self._fields is None:
            return
        elif tag == "input" and given.get("name") and ("checked" in given or given.get("type") not in _CHOSEN):
            self._fields.append((given["name"], given.get("value", "")))
        elif tag == "textarea":
            self._area, self._text = given["name"], ""
        elif tag == "select":
            self._select = (given["name"], [])
        elif tag == "option" and self._select is not None:
            self._select[1].append((given.get("value", ""), "selected" in given))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._fields = None
        elif self._fields is None:
            return
        elif tag == "textarea":
            self._fields.append((self._area, self._text.removeprefix("\n")))
            self._area = ""
        elif tag == "select" and self._select is not None:
            name, options = self._select
            chosen = [value for value, is_chosen in options if is_chosen] or [value for value, _ in options[:1]]
            self._fields += [(name, value) for value in chosen]
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text += data


_CHOSEN = ("checkbox", "radio")


def form_in(page: str, action: str) -> dict[str, str]:
    """The fields of the form that posts to `action`."""
    parser = _Forms()
    parser.feed(page)
    return dict(parser.forms[action])
