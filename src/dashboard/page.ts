/**
 * The markup. What changes is filled in by the script; what comes once for each server is in a template.
 */

/** Two stars, one lit. */
const icon = "data:image/svg+xml," + encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="12" cy="13" r="8" fill="#d9982b"/>` +
    `<circle cx="23" cy="22" r="5.5" fill="#6d78e8"/></svg>`
)

const mark =
  `<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><ellipse class="orbit" cx="16" cy="16" rx="14" ry="8.5"/>` +
  `<circle class="of-primary" cx="11" cy="12.5" r="6.5"/><circle class="of-backup" cx="23" cy="20.5" r="4.5"/></svg>`

const chart = (id: string, title: string): string =>
  `<figure class="chart" id="${id}">
    <figcaption><h3>${title}</h3><ul class="legend"></ul></figcaption>
    <div class="plot">
      <svg viewBox="0 0 180 100" preserveAspectRatio="none" role="img" aria-label="No data yet"></svg>
      <p class="y" aria-hidden="true"><span class="top"></span><span class="half"></span><span>0</span></p>
      <p class="x" aria-hidden="true"><span>3 min ago</span><span>now</span></p>
    </div>
  </figure>`

/** The whole page around its styles and its script. */
export const page = (styles: string, script: string): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Binary Star</title>
<link rel="icon" href="${icon}">
<style>${styles}</style>
</head>
<body data-link="connecting" data-blank>
<header class="bar">
  ${mark}
  <h1>Binary Star</h1>
  <p class="where" id="where"></p>
  <p class="health" id="health" data-level="unknown">Connecting</p>
  <p class="link" id="link"><span class="dot" aria-hidden="true"></span><span id="link-text">connecting</span></p>
</header>
<main>
  <noscript><p class="banner" data-level="critical">This page needs JavaScript. Without it, ask /pair.</p></noscript>
  <div id="banners" role="alert"></div>
  <p class="unseen" id="announcer" role="status"></p>

  <section class="nodes" aria-label="Servers" id="nodes"></section>

  <div class="middle">
    <section class="panel" aria-labelledby="machine-title">
      <h2 id="machine-title">State machine</h2>
      <figure class="machine">
        <svg id="machine" viewBox="0 0 657 262" role="img" aria-label="State machine"></svg>
        <figcaption class="legend">
          <span><i class="badge of-primary" aria-hidden="true">P</i> primary</span>
          <span><i class="badge of-backup" aria-hidden="true">B</i> backup</span>
          <span class="muted">a coloured arrow is the latest move</span>
        </figcaption>
      </figure>
      <details>
        <summary>All transitions as a table</summary>
        <div class="scroll" tabindex="0" role="region" aria-label="All transitions">
          <table>
            <thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">When</th></tr></thead>
            <tbody id="edges"></tbody>
          </table>
        </div>
      </details>
    </section>

    <section class="panel" aria-labelledby="traffic-title">
      <h2 id="traffic-title">Traffic</h2>
      ${chart("rates", "Requests per second")}
      ${chart("latency", "Latency of the active server")}
    </section>
  </div>

  <div class="lower">
    <section class="panel" aria-labelledby="timeline-title">
      <h2 id="timeline-title">Timeline</h2>
      <p class="muted" id="timeline-empty">No transition is known yet.</p>
      <ol class="timeline" id="timeline" tabindex="0" aria-labelledby="timeline-title"></ol>
    </section>

    <section class="panel" aria-labelledby="orders-title">
      <h2 id="orders-title">Orders</h2>
      <form id="unlock">
        <label for="token">Token</label>
        <div class="row">
          <input id="token" type="password" autocomplete="off" spellcheck="false" required aria-describedby="token-hint">
          <button type="submit">Unlock</button>
        </div>
        <p class="hint" id="token-hint">Stays in the memory of this page and is sent with orders only.</p>
      </form>
      <form id="orders" hidden>
        <p class="hint" id="orders-hint"></p>
        <label for="reason">Reason</label>
        <input id="reason" type="text" autocomplete="off" maxlength="200" required aria-describedby="reason-hint">
        <p class="hint" id="reason-hint">Appears in the history and in the log.</p>
        <div class="buttons">
          <button type="submit" value="switchover" class="strong" aria-describedby="hint-switchover">Switch over</button>
          <p class="hint" id="hint-switchover"></p>
          <button type="submit" value="promote" aria-describedby="hint-promote">Promote</button>
          <p class="hint" id="hint-promote"></p>
          <button type="submit" value="pause" aria-describedby="hint-pause">Pause</button>
          <button type="submit" value="resume" aria-describedby="hint-pause" formnovalidate>Resume</button>
          <p class="hint" id="hint-pause"></p>
        </div>
        <button type="button" class="quiet" id="lock">Forget the token</button>
      </form>
      <p class="answer" id="answer" role="status"></p>
    </section>
  </div>
</main>

<dialog id="confirm" aria-labelledby="confirm-title" aria-describedby="confirm-text">
  <form method="dialog">
    <h2 id="confirm-title"></h2>
    <p id="confirm-text"></p>
    <div class="row end">
      <button value="no">Cancel</button>
      <button value="yes" class="strong" id="confirm-yes"></button>
    </div>
  </form>
</dialog>

<template id="node">
  <article class="panel node">
    <header>
      <i class="badge" aria-hidden="true"></i>
      <h2></h2>
      <span class="tag" data-field="place"></span>
      <span class="tag held" data-field="hold"></span>
    </header>
    <p class="state"><strong data-field="state"></strong> <span data-field="duty"></span></p>
    <p class="since" data-field="since"></p>
    <p class="say" data-field="say"></p>
    <p class="why" data-field="why"></p>
    <div class="heard">
      <p data-field="heard"></p>
      <div class="gauge" aria-hidden="true"><span></span></div>
    </div>
    <dl class="figures" data-field="figures"></dl>
    <dl class="counters" data-field="counters"></dl>
    <details>
      <summary>Configuration and versions</summary>
      <dl class="settings" data-field="settings"></dl>
    </details>
  </article>
</template>
<script>${script}</script>
</body>
</html>
`
