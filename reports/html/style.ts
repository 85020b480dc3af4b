import { HINT_STYLE } from './scrolled.ts';

/** The report's style sheet: light and dark by the reader's setting, black on white in print. */
export const STYLE = `
:root{color-scheme:light dark;--page:#f9f9f7;--card:#fcfcfb;--ink:#0b0b0b;--soft:#52514e;--line:#e1e0d9;--rule:#c3c2b7;--warn-ink:#7a4a00;--warn:#fdf3dc;--bad:#b3261e;--good:#006300;--shade:rgb(0 0 0/.22);
--c0:#2a78d6;--c1:#c8501f;--c2:#0f8a5d;--c3:#a87000;--c4:#4a3aa7;--c5:#008300;--c6:#c2447a;--texture:#fcfcfb}
@media (prefers-color-scheme:dark){:root{--page:#0d0d0d;--card:#1a1a19;--ink:#fff;--soft:#c3c2b7;--line:#2c2c2a;--rule:#4a4a46;--warn-ink:#f5d48a;--warn:#33270c;--bad:#ff8a80;--good:#5fcf5f;--shade:rgb(255 255 255/.22);
--c0:#3987e5;--c1:#d95926;--c2:#199e70;--c3:#c98500;--c4:#9085e9;--c5:#008300;--c6:#d55181;--texture:#1a1a19}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main,header,footer{max-width:1200px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
h1{font-size:22px;margin:0 0 2px}
h2{font-size:18px;margin:36px 0 10px}
h2.question{margin-top:18px}h2.question::first-letter{text-transform:uppercase}
h3{font-size:15px;margin:22px 0 6px}
h4{font-size:13px;margin:14px 0 4px}
p{margin:6px 0}p,li{text-wrap:pretty}
.soft{color:var(--soft);font-size:13px}
.verdict{list-style:none;margin:18px 0;padding:0;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:8px 12px}
.verdict li{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--c0);border-radius:4px;padding:10px 14px;overflow-wrap:anywhere}
.warn{background:var(--warn);color:var(--warn-ink);border:1px solid currentColor;border-radius:4px;padding:10px 14px;margin:14px 0;overflow-wrap:anywhere}
.warn ul{margin:4px 0 0;padding-left:20px}
.status-line{margin:18px 0 0;font-size:15px}
.answer{font-size:16px;max-width:75ch}
.tiles{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));gap:12px;margin:12px 0;padding:0}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:12px 14px;display:flex;flex-direction:column;gap:2px}
.tiles strong{font-size:21px;line-height:1.25}.tiles span{color:var(--soft);font-size:13px}
:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:16px;align-items:start}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:6px;padding:14px 16px;min-width:0}
main>figure,section>figure{max-width:754px}
figcaption{font-weight:600;margin-bottom:8px}
svg{display:block;width:100%;min-width:460px;height:auto;max-width:720px}
svg text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--ink)}
svg .block{font-weight:600}
svg .row,svg .end{font-variant-numeric:tabular-nums}
svg .row{text-anchor:end}
svg .tick{text-anchor:middle;fill:var(--soft);font-size:11px}
svg .key,svg .end{fill:var(--soft)}
svg .grid{stroke:var(--line)}
svg .zero{stroke:var(--rule)}
svg .span{stroke:var(--rule);stroke-width:2}
svg rect.mark{stroke:var(--card);stroke-width:.75}
svg .tick.left{text-anchor:end}
svg .axis{fill:var(--soft);font-size:11px}svg .end-of-axis{text-anchor:end}
svg .p0{fill:var(--c0);stroke:var(--card)}
svg .p1{fill:var(--card);stroke:var(--c1);stroke-width:2}
svg .p2{fill:var(--c2);stroke:var(--card)}
svg .p3{fill:var(--card);stroke:var(--c3);stroke-width:2}
svg .p4{fill:var(--c4);stroke:var(--card);stroke-width:.5}
svg .line{fill:none;stroke-width:1.75}
svg .l0{stroke:var(--c0)}svg .l1{stroke:var(--c1);stroke-dasharray:7 3}svg .l2{stroke:var(--c2);stroke-dasharray:2 3}svg .l3{stroke:var(--c3);stroke-dasharray:9 3 2 3}svg .l4{stroke:var(--c4);stroke-dasharray:4 2}
svg.trace{max-width:1160px;min-width:620px}svg .tick.right{text-anchor:start}
svg .line.mark{stroke-width:1.25}
svg .t0{stroke:var(--c0)}svg .t1{stroke:var(--c1)}svg .t2{stroke:var(--c2)}svg .t3{stroke:var(--c3)}svg .t4{stroke:var(--c4)}
.whole{margin:12px 0}.zoomable .scroll:not(.table),.zoomable .hint.chart{display:none}
.controls button{font:inherit;font-size:13px;color:var(--ink);background:var(--page);border:1px solid var(--rule);border-radius:4px;padding:3px 10px;margin-right:8px;cursor:pointer}
.zoom .u-legend{font-size:12px}.zoom .u-legend .u-marker{width:28px;height:2px;border:0!important}
svg.paths{max-width:1160px;min-width:760px}
svg .place-name{text-anchor:middle;fill:var(--soft);font-size:12px}
svg .place-box{fill:var(--page);stroke:var(--rule)}
svg .in-box,svg .hop-by,svg .copy-name{text-anchor:middle}
svg .hop-by{fill:var(--soft);font-size:11px}
svg .copy-name{font-weight:600}
svg .copy-line{stroke:var(--c1);stroke-width:6}svg .copy-head{fill:var(--c1)}
svg .read-line,svg .read-head{fill:none;stroke:var(--c0);stroke-width:1.75}svg .read-line{stroke-dasharray:6 4}
svg .texture{stroke:var(--texture);stroke-width:1.1;fill:none;opacity:.65}
.c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)}.c5{fill:var(--c5)}.c6{fill:var(--c6)}
.scroll{overflow-x:auto}
.scroll.table{width:fit-content;max-width:100%;background:linear-gradient(90deg,var(--card) 40%,transparent) 0 0/36px 100% local,linear-gradient(270deg,var(--card) 40%,transparent) 100% 0/36px 100% local,linear-gradient(90deg,var(--shade),transparent) 0 0/12px 100% scroll,linear-gradient(270deg,var(--shade),transparent) 100% 0/12px 100% scroll,var(--card);background-repeat:no-repeat}
.scroll.table table{background:none}.scroll.table table:not(.text) thead th{white-space:nowrap}
.hint{display:none;color:var(--soft);font-size:12px;margin:4px 0 2px}
.place{container-type:inline-size}
${HINT_STYLE}
figure th,figure td{padding:4px 7px}
@media (max-width:540px){.hint.chart{display:block}}
.swatch{display:inline-block;width:22px;height:12px;margin-right:8px;vertical-align:-1px;border:1px solid var(--rule);background:color-mix(in srgb,var(--c1) 9%,var(--card))}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;background:var(--card)}
caption{text-align:left;font-weight:600;padding:6px 0}
th,td{padding:4px 10px;border-bottom:1px solid var(--line);text-align:right;vertical-align:bottom}
td{white-space:nowrap}
thead th{color:var(--soft);font-weight:500;border-bottom-color:var(--rule)}
th[scope=row]{text-align:left;font-weight:500;white-space:nowrap}
thead th:first-child,th.name,td.name{text-align:left}
table.text td{text-align:left;white-space:normal;min-width:9em}
table.text th{white-space:normal;min-width:9em}
table.text td.status,table.text th.status{min-width:0}
table.text thead th{text-align:left}
tr.reference th,tr.reference td{background:color-mix(in srgb,var(--c1) 9%,transparent)}
.fail{color:var(--bad);font-weight:600}.inconclusive{color:var(--warn-ink);font-weight:600}.pass{color:var(--good)}
details{margin-top:8px}
summary{cursor:pointer;color:var(--soft);font-size:13px}
pre{background:var(--card);border:1px solid var(--line);border-radius:4px;padding:10px 14px;white-space:pre-wrap;overflow-wrap:anywhere;font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0;font-size:13px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
footer{padding-top:24px;padding-bottom:32px;color:var(--soft);font-size:13px}
@media print{:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#000;--soft:#333;--line:#ccc;--rule:#888;--warn-ink:#000;--warn:#fff;--bad:#000;--good:#000;
--c0:#2a78d6;--c1:#c8501f;--c2:#0f8a5d;--c3:#a87000;--c4:#4a3aa7;--c5:#008300;--c6:#c2447a;--texture:#fff}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{font-size:11px}.status-line,.answer{font-size:12px}.tiles{grid-template-columns:repeat(4,1fr);gap:8px}.tiles li{padding:6px 8px;break-inside:avoid}.tiles strong{font-size:13px}.tiles span{font-size:10px}.soft,footer{font-size:10px}.verdict{display:block}.verdict li{margin:6px 0}h1{font-size:17px}h2{font-size:14px}h3{font-size:12px}main,header,footer{max-width:none;padding:0}
details:not([open]),.zoom{display:none}.zoomable .scroll:not(.table){display:block}svg,svg.trace,svg.paths{min-width:0}
figure,li,tr,.warn{break-inside:avoid}h2,h3{break-after:avoid}
.charts{display:block}figure{margin-bottom:12px}th,td{padding:2px 6px;font-size:10px}.scroll{overflow:visible}.scroll.table{background:none}.hint{display:none!important}}
`;
