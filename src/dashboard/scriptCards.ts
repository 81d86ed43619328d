/**
 * A card for each server.
 */
export const cards = String.raw`
const counterNames = [
  ["accepted", "Accepted"],
  ["rejected", "Rejected"],
  ["failed", "Failed"],
  ["limited", "Over a limit"],
  ["votes", "Votes"],
  ["failovers", "Failovers"],
  ["conflicts", "Conflicts"],
  ["heartbeats", "Heartbeats"],
  ["missed", "Heartbeats missed"],
  ["malformed", "Malformed"]
]

const connectionsOf = (connections) =>
  connections ? connections.open + ", " + connections.rejected + " refused" : "not told"

const cardOf = (role) => {
  const card = byId("node").content.firstElementChild.cloneNode(true)
  const fields = {}
  for (const field of card.querySelectorAll("[data-field]")) {
    fields[field.dataset.field] = field
  }
  const title = card.querySelector("h2")
  title.textContent = role
  title.id = "title-" + role
  card.setAttribute("aria-labelledby", title.id)
  card.dataset.role = role
  const badge = card.querySelector(".badge")
  badge.classList.add("of-" + role)
  badge.textContent = role[0].toUpperCase()
  return { card, fields, gauge: card.querySelector(".gauge span"), heardRow: card.querySelector(".heard") }
}

const shownCards = { primary: cardOf("primary"), backup: cardOf("backup") }
byId("nodes").append(shownCards.primary.card, shownCards.backup.card)

const dutyOf = ({ answers, state, status }) =>
  state === null
    ? "nothing is heard of it"
    : answers
    ? "answers clients"
    : state === "PASSIVE"
    ? "stands by"
    : state === "HANDING_OVER"
    ? "hands over"
    : state === "CONTESTED"
    ? "was active, and so was its peer"
    : status
    ? "waits for its peer"
    : ""

/** Quantiles are of all that this process has answered; the chart has those of each second. */
const figuresOf = ({ status }, perSecond) => [
  ["Requests", rate(perSecond)],
  ["p50 overall", precise(status.latency.p50Millis)],
  ["p99 overall", precise(status.latency.p99Millis)],
  ["Up", span(status.uptimeMillis)]
]

const settingsOf = (status) => {
  const { config, versions } = status
  return [
    ["Policy", status.policy],
    ["Frontend", config.frontend],
    ["State", config.stateEndpoint],
    ["Peer", config.peerEndpoint],
    ["Heartbeat", setting(config.heartbeatMillis)],
    ["Vote", String(config.vote)],
    ["Lone backup", config.lone || "wait"],
    ["Crash detection", config.crashDetection ? "on" : "off"],
    ["Concurrency", String(config.concurrency)],
    ["Timeout", setting(config.timeoutMillis)],
    ["Drain", setting(config.drainMillis)],
    [
      "Failovers",
      config.maxFailovers === null
        ? "not limited"
        : "at most " + config.maxFailovers + " in " + span(config.failoverWindowMillis)
    ],
    ["Connections", connectionsOf(status.connections)],
    ["HTTP", status.http],
    ["HTTP of the peer", status.peerHttp || "not given"],
    ["Host", status.host],
    ["Process", String(status.pid)],
    ["bstar", versions.bstar],
    ["Node", versions.node]
  ]
}

const showCard = (pair, node, perSecond) => {
  const { card, fields, gauge, heardRow } = shownCards[node.role]
  const { status } = node
  card.dataset.state = node.state || "none"
  card.classList.toggle("unknown", !status)
  setText(fields.place, node.isSelf ? "this server" : "peer")
  setText(fields.state, node.state || "SILENT")
  setText(fields.duty, dutyOf(node))
  const hold = status && status.takeoverBlock
  setText(fields.hold, hold ? hold.kind : "")
  if (status) {
    const since = new Date(status.since)
    setText(
      fields.since,
      "for " + span(Date.parse(status.now) - since.getTime()) + ", since " + wholeClockTime.format(since)
    )
    setText(fields.say, status.message)
    setText(
      fields.why,
      [status.explanation, status.reason && "reason: " + status.reason].filter(Boolean).join(" · ")
    )
    const { ageMillis, isExpired, state } = status.peer
    setText(
      fields.heard,
      ageMillis === null
        ? "has not heard its peer yet"
        : "heard " + (state === null ? "its peer" : state) + " " + span(ageMillis) + " ago" +
          (isExpired ? ", which is too long" : "")
    )
    const share = ageMillis === null ? 1 : Math.min(1, ageMillis / (2 * status.config.heartbeatMillis))
    gauge.style.transform = "scaleX(" + share.toFixed(3) + ")"
    heardRow.classList.toggle("expired", isExpired)
    fillList(fields.figures, figuresOf(node, perSecond))
    fillList(fields.counters, counterNames.map(([key, name]) => [name, count(status.counters[key])]))
    fillList(fields.settings, settingsOf(status))
    return
  }
  const { ageMillis, state } = pair.self.peer
  setText(fields.since, "")
  setText(
    fields.say,
    state === null
      ? "The " + pair.self.role + " has heard nothing from it."
      : "Its last word was " + state + ", " + span(ageMillis) + " ago."
  )
  setText(
    fields.why,
    node.problem === null
      ? "Its own status is not shown: the " + pair.self.role + " runs without --peer-http."
      : "Its own status cannot be had: " + node.problem
  )
}
`
