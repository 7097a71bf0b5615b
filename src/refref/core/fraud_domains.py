"""Mail domains that say nothing about who somebody is: public mail services, and services of throw-away addresses."""

from __future__ import annotations

_PUBLIC = """
gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com icloud.com me.com mac.com aol.com
gmx.com gmx.de gmx.net web.de t-online.de mail.com proton.me protonmail.com fastmail.com zoho.com yandex.com yandex.ru
mail.ru qq.com 163.com 126.com naver.com orange.fr free.fr laposte.net libero.it hotmail.co.uk yahoo.co.uk
btinternet.com comcast.net verizon.net att.net
"""
_DISPOSABLE = """
mailinator.com guerrillamail.com 10minutemail.com yopmail.com temp-mail.org trashmail.com sharklasers.com
"""
PUBLIC_MAIL: frozenset[str] = frozenset(_PUBLIC.split())
DISPOSABLE: frozenset[str] = frozenset(_DISPOSABLE.split())
