"""The sandbox's one page: which lists there are and how many people stand on them. Plain HTML, no script."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

TITLES = {"google": "Google Customer Match", "meta": "Meta Custom Audiences"}
STYLE = """
body{font:14px/1.5 Inter,system-ui,sans-serif;margin:0;background:#f6f7f9;color:#1c2330}
main{max-width:880px;margin:0 auto;padding:24px}
h1{font-size:22px;font-weight:650;margin:0 0 4px} p{margin:0 0 16px;color:#4a5568}
.mark{background:#fff4d6;border:1px solid #e0c060;border-radius:6px;padding:8px 12px;color:#5c4300}
section{background:#fff;border:1px solid #dde2ea;border-radius:10px;padding:16px;margin:16px 0;overflow-x:auto}
h2{font-size:14.5px;font-weight:620;margin:0 0 8px} table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:6px 8px;border-bottom:1px solid #e8ebf0} td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font-size:12px;color:#4a5568}
@media(prefers-color-scheme:dark){body{background:#12161d;color:#e6eaf1}section{background:#1a2029;border-color:#333c4a}
p,code{color:#aab4c3}th,td{border-color:#2a3340}.mark{background:#3a2f10;border-color:#6d5a1e;color:#f0dfae}}
"""


def index_page(lists: Sequence[Mapping[str, Any]], requests: Mapping[str, int], repeated: Mapping[str, int]) -> str:
    """``lists`` as ``Book.summary`` gives them; request counts by "network operation"."""
    rows = "".join(
        f"<tr><td>{escape(TITLES.get(x['network'], x['network']))}</td><td>{escape(x['title'])}</td>"
        f"<td><code>{escape(x['id'])}</code></td><td class=n>{x['members']:,}</td>"
        f"<td>{'being processed' if x['pending'] else 'up to date'}</td></tr>"
        for x in lists
    )
    empty = '<tr><td colspan="5">No list yet. The first sync of an audience makes one.</td></tr>'
    calls = "".join(
        f"<tr><td>{escape(TITLES.get(name.split()[0], name))}</td><td>{escape(name.split()[-1])}</td>"
        f"<td class=n>{count:,}</td><td class=n>{repeated.get(name, 0):,}</td></tr>"
        for name, count in sorted(requests.items())
    )
    none = '<tr><td colspan="4">Nothing was sent yet.</td></tr>'
    return f"""<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width,initial-scale=1">
<title>Ad network sandbox</title><style>{STYLE}</style></head><body><main>
<h1>Ad network sandbox</h1>
<p class=mark>This is a local stand-in for the ad networks. Nothing that is sent here leaves this machine.</p>
<section><h2>Lists</h2><table><thead><tr><th>Network<th>List<th>Id<th class=n>People<th>State</tr></thead>
<tbody>{rows or empty}</tbody></table></section>
<section><h2>Requests</h2><table><thead><tr><th>Network<th>Operation<th class=n>Requests<th class=n>Repeated</tr></thead>
<tbody>{calls or none}</tbody></table></section>
</main></body></html>"""
