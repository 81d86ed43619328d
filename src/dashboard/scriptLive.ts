/**
 * Listens to the server, shows what it says, and says so when it says nothing.
 */
export const live = String.raw`
/** The server speaks once a second. When it does not for this long, the connection counts as lost. */
const patienceMillis = 4000
const retryMillis = 1000

/** @type {EventSource} */
let source
let lastWord = performance.now()

const setLink = (link, text) => {
  document.body.dataset.link = link
  setText(byId("link-text"), text)
}

const setHealth = (level, text) => {
  byId("health").dataset.level = level
  setText(byId("health"), text)
  document.title = text + " · Binary Star"
}

const showMoves = ({ self }, nodes) => {
  showMachine(self.policy, nodes, latestMoves())
  showCharts(entries.flatMap(({ at, role, to }) => to === "ACTIVE" ? [{ at: Date.parse(at) / 1000, role }] : []))
}

const showPair = (pair) => {
  const { self } = pair
  const nodes = nodesOf(pair)
  const findings = findingsOf(pair, nodes)
  const health = healthOf(findings)
  delete document.body.dataset.blank
  setLink("live", "live")
  setHealth(health.level, health.text)
  showFindings(findings)
  setText(byId("where"), "seen from the " + self.role + " on " + self.host)
  watchPeer(pair, nodes)
  addSample(Date.parse(self.now) / 1000, nodes)
  for (const role of roles) {
    showCard(pair, nodes[role], rates[role])
  }
  showMoves(pair, nodes)
  showOrders(self)
}

const loadHistory = async (pair) => {
  const response = await fetch("./history?limit=" + timelineLimit)
  if (response.ok) {
    const { role } = pair.self
    addEntries((await response.json()).map((entry) => ({ ...entry, role })))
    showMoves(pair, nodesOf(pair))
  }
}

const lose = () => {
  source.close()
  if (document.body.dataset.link !== "lost") {
    setLink("lost", "connection lost")
    setHealth("critical", "Connection lost")
    showFindings([{
      level: "critical",
      title: "Connection lost",
      text: "This server does not answer. What is shown is old. Trying again every second."
    }])
  }
  lastWord = performance.now()
  setTimeout(connect, retryMillis)
}

const connect = () => {
  const current = new EventSource("./events")
  let isNew = true
  source = current
  current.addEventListener("pair", ({ data }) => {
    lastWord = performance.now()
    const pair = JSON.parse(data)
    showPair(pair)
    if (isNew) {
      isNew = false
      // Without it the page is as live as with it, and the next connection asks again.
      loadHistory(pair).catch(() => {})
    }
  })
  current.addEventListener("transition", ({ data }) => {
    lastWord = performance.now()
    addEntries([JSON.parse(data)]).map(toldOf).forEach(announce)
  })
  current.addEventListener("error", () => {
    if (source === current && current.readyState !== EventSource.OPEN) {
      lose()
    }
  })
}

setInterval(() => {
  if (performance.now() - lastWord > patienceMillis) {
    lose()
  }
}, 1000)

connect()
`
