"""Where a login may end: a path of the gate, or a page of an application on an allowed host. Anything else becomes
the home page.
"""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from sso_gate.settings import Settings

MAX_LENGTH = 2000
HOME = "/"


@dataclass(frozen=True, slots=True)
class ReturnTo:
    """A target that was checked: built by `checked` and `home` alone. `host` is empty for the gate's own pages."""

    url: str
    host: str

    @classmethod
    def home(cls) -> Self:
        """Return the person's own page."""
        return cls(HOME, "")

    @classmethod
    def checked(cls, text: str, settings: Settings) -> Self:
        """Return the target that the text names, or the home page where it names none that is allowed."""
        if not text or len(text) > MAX_LENGTH or not text.isprintable() or "\\" in text or " " in text:
            return cls.home()
        if text.startswith("/") and not text.startswith("//"):
            return cls(text, "")
        return cls._absolute(text, settings)

    @classmethod
    def _absolute(cls, text: str, settings: Settings) -> Self:
        try:
            parts = urlsplit(text)
        except ValueError:
            return cls.home()
        host = parts.netloc.lower()
        schemes = ("https",) if settings.origin.startswith("https:") else ("https", "http")
        if parts.scheme not in schemes or host not in settings.allowed_return_hosts:
            return cls.home()
        if host == settings.public_host:
            path = text[len(f"{parts.scheme}://{parts.netloc}") :]
            # Two slashes would be another host's address where only the path is used.
            return cls(path, "") if path.startswith("/") and not path.startswith("//") else cls.home()
        return cls(text, host)

    @property
    def app_origin(self) -> str:
        """Scheme and host of an application's page."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"
