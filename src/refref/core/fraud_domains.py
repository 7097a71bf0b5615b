"""Mail domains that say nothing about who somebody is: public mail services, and services of throw-away addresses.

The list of the latter comes with a package; a newer one may find more, so `worker.mail_list` has the books follow it.
"""

from __future__ import annotations

from functools import lru_cache

_PUBLIC = """
gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com icloud.com me.com mac.com aol.com
gmx.com gmx.de gmx.net web.de t-online.de mail.com proton.me protonmail.com fastmail.com zoho.com yandex.com yandex.ru
mail.ru qq.com 163.com 126.com naver.com orange.fr free.fr laposte.net libero.it hotmail.co.uk yahoo.co.uk
btinternet.com comcast.net verizon.net att.net
"""
PUBLIC_MAIL: frozenset[str] = frozenset(_PUBLIC.split())
LIST_PACKAGE = "disposable-email-domains"


@lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    from disposable_email_domains import blocklist  # ten thousand names, wanted only where somebody was referred

    return frozenset(blocklist) - PUBLIC_MAIL


@lru_cache(maxsize=65_536)
def is_disposable(domain: str) -> bool:
    """Whether a mail domain, in lower case, or one that it is part of, gives out throw-away addresses."""
    labels = domain.split(".")
    listed = _listed()
    return any(".".join(labels[start:]) in listed for start in range(len(labels) - 1))
