/**
 * The style sheet. Colours are variables, once for light and once for dark; every text has a contrast of 4.5 at least.
 */
export const styles = String.raw`
:root {
  color-scheme: light dark;
  --ground: #f3f4f7;
  --panel: #ffffff;
  --inset: #f6f7f9;
  --edge: #dde1e8;
  --grid: #e6e9ee;
  --text: #182031;
  --muted: #566074;
  --link: #1f55b0;
  --focus: #1f55b0;
  --primary: #8f5404;
  --primary-ground: #fbefd9;
  --backup: #4c55c9;
  --backup-ground: #e8eafc;
  --good: #12683f;
  --good-ground: #def3e6;
  --warning: #784a00;
  --warning-ground: #fdeecd;
  --critical: #a01b22;
  --critical-ground: #fce5e5;
  --standby: #1c4f92;
  --standby-ground: #e0ebf9;
  --waiting: #454e60;
  --waiting-ground: #e8ebf0;
  --resuming: #5f3796;
  --resuming-ground: #efe7fb;
  --p50: #12807a;
  --p99: #b03a75;
  --shadow: 0 1px 2px rgb(20 28 45 / 6%), 0 2px 8px rgb(20 28 45 / 4%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f131a;
    --panel: #181d27;
    --inset: #1e2430;
    --edge: #2c3442;
    --grid: #29303d;
    --text: #e7eaf0;
    --muted: #9ba5b7;
    --link: #8fb8ff;
    --focus: #8fb8ff;
    --primary: #eeb04a;
    --primary-ground: #3a2a0e;
    --backup: #9aa4ff;
    --backup-ground: #262b55;
    --good: #7fdca6;
    --good-ground: #13331f;
    --warning: #f7c873;
    --warning-ground: #392a0c;
    --critical: #ffa9a9;
    --critical-ground: #45191c;
    --standby: #9cc5ff;
    --standby-ground: #172b49;
    --waiting: #c2cad8;
    --waiting-ground: #29303c;
    --resuming: #cfb6fb;
    --resuming-ground: #2f2249;
    --p50: #56cfc6;
    --p99: #f08fba;
    --shadow: none;
  }
}
[data-state="ACTIVE"] { --state: var(--good); --state-ground: var(--good-ground) }
[data-state="PASSIVE"] { --state: var(--standby); --state-ground: var(--standby-ground) }
[data-state="HANDING_OVER"] { --state: var(--warning); --state-ground: var(--warning-ground) }
[data-state="CONTESTED"] { --state: var(--critical); --state-ground: var(--critical-ground) }
[data-state="REJOINING"] { --state: var(--resuming); --state-ground: var(--resuming-ground) }
[data-state="PRIMARY"], [data-state="BACKUP"] { --state: var(--waiting); --state-ground: var(--waiting-ground) }
[data-state="none"] { --state: var(--critical); --state-ground: var(--critical-ground) }
[data-level="good"] { --level: var(--good); --level-ground: var(--good-ground) }
[data-level="warning"] { --level: var(--warning); --level-ground: var(--warning-ground) }
[data-level="critical"] { --level: var(--critical); --level-ground: var(--critical-ground) }
[data-level="unknown"], [data-level="busy"] { --level: var(--waiting); --level-ground: var(--waiting-ground) }
.of-primary { --own: var(--primary); --own-ground: var(--primary-ground) }
.of-backup { --own: var(--backup); --own-ground: var(--backup-ground) }
.of-p50 { --own: var(--p50) }
.of-p99 { --own: var(--p99) }

* { box-sizing: border-box; margin: 0 }
[hidden] { display: none !important }
html { -webkit-text-size-adjust: 100% }
body {
  background: var(--ground);
  color: var(--text);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
}
h1 { font-size: 16px; font-weight: 650; letter-spacing: -0.01em }
h2 { font-size: 14px; font-weight: 650 }
h3 { font-size: 13px; font-weight: 500; color: var(--muted) }
i { font-style: normal }
ul, ol { list-style: none; padding: 0 }
a { color: var(--link) }
.muted, .hint { color: var(--muted) }
.hint { font-size: 12.5px }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px }

.bar, main { max-width: 1200px; margin: 0 auto; padding: 0 20px }
.bar { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 12px; padding-top: 14px; padding-bottom: 12px }
.mark { width: 28px; height: 28px; flex: none }
.mark circle { fill: var(--own) }
.mark .orbit { fill: none; stroke: var(--edge); stroke-width: 1.5; transform: rotate(35deg); transform-origin: center }
.where { color: var(--muted); font-size: 13px; flex: 1 1 auto }
.health {
  padding: 3px 12px; border-radius: 999px; font-weight: 600; font-size: 13px;
  background: var(--level-ground); color: var(--level);
}
.link { display: flex; align-items: center; gap: 6px; font-size: 13px; color: var(--muted) }
.dot { width: 8px; height: 8px; border-radius: 50%; background: var(--muted) }
[data-link="live"] .dot { background: var(--good) }
[data-link="lost"] .dot { background: var(--critical) }
[data-link="lost"] .link { color: var(--critical); font-weight: 600 }
[data-link="lost"] :is(.nodes, .middle, .lower .panel:first-child) { filter: grayscale(1) }
[data-blank] :is(.nodes, .middle, .lower) { display: none }
main { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; padding-bottom: 32px }
#banners { display: grid; gap: 8px }
#banners:empty { display: none }
.banner {
  padding: 9px 14px; border-radius: 8px; border-left: 4px solid var(--level);
  background: var(--level-ground); color: var(--level);
}

.panel {
  background: var(--panel); border: 1px solid var(--edge); border-radius: 10px; padding: 16px 18px;
  box-shadow: var(--shadow); min-width: 0;
}
.panel > h2 { margin-bottom: 10px }
.nodes, .middle, .lower { display: grid; gap: 14px; grid-template-columns: repeat(2, minmax(0, 1fr)) }
.lower { grid-template-columns: minmax(0, 1fr) 340px; align-items: start }
.middle:has(details[open]), .nodes:has(details[open]) { align-items: start }

.badge {
  display: inline-grid; place-items: center; width: 20px; height: 20px; border-radius: 50%; flex: none;
  background: var(--own-ground); color: var(--own); border: 1.5px solid var(--own); font-size: 11px; font-weight: 700;
}
.tag { font-size: 12px; color: var(--muted); border: 1px solid var(--edge); border-radius: 999px; padding: 0 8px }
.tag:empty { display: none }
.tag.held { color: var(--warning); background: var(--warning-ground); border-color: transparent; font-weight: 600 }
.node { border-top: 3px solid var(--state, var(--edge)) }
.node header { display: flex; flex-wrap: wrap; align-items: center; gap: 8px }
.node h2 { font-size: 15px }
.node .state { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 10px; margin-top: 8px }
.node .state strong { font-size: 26px; line-height: 1.25; font-weight: 700; letter-spacing: -0.01em; color: var(--state) }
.node .since { color: var(--muted); font-size: 13px; min-height: 1.45em }
.node .say { margin-top: 8px }
.node .why { color: var(--muted); font-size: 13px; min-height: 1.45em }
.node .say::first-letter { text-transform: uppercase }
.heard { margin-top: 10px; font-size: 13px; color: var(--muted) }
.heard.expired { color: var(--critical) }
.gauge { height: 4px; margin-top: 4px; border-radius: 2px; background: var(--grid); overflow: hidden }
.gauge span { display: block; height: 100%; background: var(--standby); transform: scaleX(0); transform-origin: left }
.expired .gauge span { background: var(--critical) }
.figures { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 8px; margin-top: 14px }
.figures dt { font-size: 12px; color: var(--muted) }
.figures dd { font-size: 17px; font-weight: 600; letter-spacing: -0.01em; overflow-wrap: normal }
.counters {
  display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 1px 20px; margin-top: 12px; padding-top: 10px;
  border-top: 1px solid var(--grid); font-size: 13px;
}
.counters div, .settings div { display: flex; justify-content: space-between; gap: 10px }
.counters dt, .settings dt { color: var(--muted); overflow-wrap: normal }
.counters dd, .settings dd { margin: 0; text-align: right; min-width: 0 }
.figures dd { margin: 0 }
.unknown :is(.heard, .figures, .counters, details) { display: none }
details { margin-top: 10px; font-size: 13px }
summary { cursor: pointer; color: var(--muted); border-radius: 4px; width: fit-content; padding: 3px 0 }
summary:hover { color: var(--text) }
.settings { margin-top: 6px; columns: 2; column-gap: 24px }
.settings div { break-inside: avoid; padding: 1px 0 }

.machine svg { display: block; width: 100%; max-width: 712px; margin: 0 auto; overflow: visible }
.box rect { fill: var(--inset); stroke: var(--edge); stroke-width: 1.5 }
.box text { fill: var(--muted); font-size: 15px; font-weight: 600; text-anchor: middle; letter-spacing: 0.02em }
.box.lit rect { fill: var(--state-ground); stroke: var(--state); stroke-width: 2 }
.box.lit text { fill: var(--state); font-weight: 750 }
.edge { fill: none; stroke: var(--muted); stroke-width: 1.2; opacity: 0.55; marker-end: url(#head-plain) }
.edge.sleep { stroke-dasharray: 3 4 }
.edge.last { stroke: var(--own); stroke-width: 2.6; stroke-dasharray: none; opacity: 1 }
.edge.last.primary { --own: var(--primary); marker-end: url(#head-primary) }
.edge.last.backup { --own: var(--backup); marker-end: url(#head-backup) }
.head.plain { fill: var(--muted) }
.head.primary { fill: var(--primary) }
.head.backup { fill: var(--backup) }
.at circle { fill: var(--own-ground); stroke: var(--own); stroke-width: 2 }
.at text { fill: var(--own); font-size: 13px; font-weight: 750; text-anchor: middle }
.at.hearsay circle { stroke-dasharray: 4 3 }
.at.away { display: none }
.machine figcaption { justify-content: center; margin-top: 12px }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 16px; font-size: 12.5px }
.legend .badge { width: 18px; height: 18px; font-size: 10px; margin-right: 3px }
.scroll { overflow: auto; max-height: 260px; margin-top: 8px }
table { border-collapse: collapse; width: 100%; font-size: 12.5px }
th, td { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--grid); vertical-align: top }
th { font-weight: 600; overflow-wrap: normal }
thead th { color: var(--muted); font-weight: 500 }
td:nth-child(2) { overflow-wrap: normal }

.chart + .chart { margin-top: 18px }
.chart figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 16px }
.chart .legend b { display: inline-block; min-width: 4.4em; font-weight: 600; text-align: right }
.key { display: inline-block; width: 16px; height: 0; border-top: 3px solid var(--own); margin: 0 6px 3px 0 }
.key:is(.of-backup, .of-p99) { border-top-style: dashed }
.plot { display: grid; grid-template-columns: 58px minmax(0, 1fr); gap: 2px 8px; margin-top: 8px }
.plot svg { display: block; width: 100%; height: 112px; grid-column: 2; grid-row: 1 }
.plot svg * { vector-effect: non-scaling-stroke }
.rule { stroke: var(--edge); stroke-width: 1 }
.line { fill: none; stroke: var(--own); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }
.line.of-backup, .line.of-p99 { stroke-dasharray: 5 3 }
.event { stroke: var(--own); stroke-width: 1.5; opacity: 0.6 }
.y, .x { display: flex; justify-content: space-between; font-size: 11.5px; line-height: 16px; color: var(--muted) }
.y { white-space: nowrap; flex-direction: column; text-align: right; grid-row: 1; padding-bottom: 1px; margin: -2px 0 -5px }
.x { grid-column: 2 }

.timeline { max-height: 560px; overflow-y: auto; margin-right: -8px; padding-right: 8px }
.timeline li {
  display: grid; grid-template-columns: 98px minmax(0, 1fr); gap: 0 14px; padding: 9px 0;
  border-top: 1px solid var(--grid);
}
.timeline li:first-child { border-top: 0; padding-top: 0 }
.timeline time { color: var(--muted); font-size: 13px; padding-top: 1px; overflow-wrap: normal }
.timeline .head { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 7px }
.timeline .who { font-weight: 600 }
.timeline .what { margin-top: 3px }
.timeline .what::first-letter { text-transform: uppercase }
.timeline .why { color: var(--muted); font-size: 13px }
.timeline .day { grid-column: 1 / -1; font-size: 12px; font-weight: 600; color: var(--muted); padding-bottom: 4px }
.chip {
  font-size: 11.5px; font-weight: 650; letter-spacing: 0.02em; padding: 1px 8px; border-radius: 5px;
  background: var(--state-ground); color: var(--state);
}
.arrow, .cause { color: var(--muted) }
.cause { font-size: 12.5px; margin-left: auto }

label { display: block; font-weight: 550; font-size: 13px; margin-bottom: 4px }
input, button {
  font: inherit; color: inherit; border-radius: 7px; border: 1px solid var(--muted); padding: 7px 12px; min-height: 38px;
  background: var(--panel);
}
input { width: 100%; min-width: 0 }
button { font-weight: 550; cursor: pointer; white-space: nowrap }
button:hover:not(:disabled) { background: var(--inset) }
button.strong { background: var(--link); border-color: var(--link); color: var(--panel) }
button.strong:hover:not(:disabled) { background: var(--link); filter: brightness(1.1) }
button:disabled { cursor: not-allowed; border-style: dashed; color: var(--muted); background: none; border-color: var(--edge) }
button.quiet { border: 0; padding: 0; min-height: 32px; color: var(--link); background: none; font-weight: 400; text-decoration: underline }
.row { display: flex; gap: 8px }
.row.end { justify-content: flex-end; margin-top: 18px }
.row + .hint, input + .hint { margin-top: 5px }
#orders > .hint:first-child { margin-bottom: 10px }
.buttons { display: grid; gap: 4px; margin: 14px 0 8px }
.buttons .hint { margin-bottom: 8px }
.answer::first-letter { text-transform: uppercase }
.answer:not(:empty) {
  margin-top: 10px; padding: 8px 12px; border-radius: 7px; background: var(--level-ground); color: var(--level);
}
dialog {
  margin: auto; width: min(440px, calc(100vw - 32px)); padding: 20px; color: var(--text); background: var(--panel);
  border: 1px solid var(--edge); border-radius: 12px; box-shadow: 0 12px 40px rgb(0 0 0 / 30%);
}
dialog::backdrop { background: rgb(10 14 22 / 50%) }
dialog h2 { font-size: 16px; margin-bottom: 8px }

@media (max-width: 860px) {
  .nodes, .middle, .lower { grid-template-columns: minmax(0, 1fr) }
}
@media (max-width: 520px) {
  .bar, main { padding-left: 12px; padding-right: 12px }
  .where { order: 1; flex: 1 1 0 }
  .link { order: 2 }
  .health { margin-left: auto }
  .bar::after { content: ""; flex-basis: 100% }
  .box text { font-size: 17px; letter-spacing: 0 }
  .panel { padding: 14px }
  .figures { grid-template-columns: repeat(2, minmax(0, 1fr)) }
  .counters { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1px 16px }
  .settings { columns: 1 }
  .timeline li { grid-template-columns: minmax(0, 1fr) }
  .cause { margin-left: 0 }
}
@media (prefers-reduced-motion: no-preference) {
  .box rect, .box text, .edge { transition: fill 0.4s, stroke 0.4s, stroke-width 0.4s, opacity 0.4s }
  .at { transition: transform 0.6s ease }
  .gauge span { transition: transform 0.3s }
  [data-link="live"] .dot { animation: breathe 2s ease-in-out infinite }
  @keyframes breathe { 50% { opacity: 0.4 } }
}
`
