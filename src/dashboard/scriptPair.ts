/**
 * What is known of both servers, and what is wrong with them.
 */
export const pair = String.raw`
const roles = ["primary", "backup"]
const otherOf = { primary: "backup", backup: "primary" }

/**
 * One server as the page knows it. Without its own status there is what the other one has heard of it.
 * @param {any} pair
 */
const nodesOf = ({ self, peer }) => {
  const status = peer && peer.status
  const peerRole = otherOf[self.role]
  const isHeard = !self.peer.isExpired && self.peer.state !== null &&
    self.peer.ageMillis <= 2 * self.config.heartbeatMillis
  return {
    [self.role]: { role: self.role, isSelf: true, status: self, state: self.state, answers: self.answers },
    [peerRole]: {
      role: peerRole,
      isSelf: false,
      status,
      state: status ? status.state : isHeard ? self.peer.state : null,
      answers: status ? status.answers : isHeard && self.peer.state === "ACTIVE",
      problem: status ? null : peer ? peer.error || "no answer" : null
    }
  }
}

/** What an operator should know, the worst first. Says nothing that changes every second. */
const findingsOf = (pair, nodes) => {
  const { self } = pair
  const all = roles.map((role) => nodes[role])
  const peer = nodes[otherOf[self.role]]
  const active = all.filter(({ answers }) => answers)
  const yielding = all.find(({ state }) => state === "HANDING_OVER")
  const contested = all.find(({ state }) => state === "CONTESTED")
  const findings = []
  const add = (level, title, text) => findings.push({ level, title, text })
  if (active.length === 2) {
    add(
      "critical",
      "Two active servers",
      peer.status
        ? "Both answer clients. With the hardened policy one of them steps down by itself."
        : "The " + peer.role + " reports ACTIVE, too. A peer of another make does not step down by itself: stop one of them."
    )
  }
  if (active.length === 0) {
    add(
      "critical",
      "No active server",
      yielding
        ? "The " + yielding.role + " hands over and waits for its peer to be active."
        : contested
        ? "The " + contested.role + " was active when its peer was, and decides within two heartbeats."
        : "Nobody answers clients. " +
          (self.peer.isExpired && self.state !== "BACKUP"
            ? "The " + self.role + " takes over with the first vote."
            : "A server that was just started waits for its peer.")
    )
  }
  if (contested && active.length > 0) {
    add(
      "warning",
      "Contested: " + contested.role,
      "It was active when its peer was. It answers no client, and decides within two heartbeats."
    )
  }
  if (peer.status && peer.status.role === self.role) {
    add("critical", "Two servers of one role", "Both say that they are the " + self.role + ".")
  }
  for (const { role, status } of all) {
    const hold = status && status.takeoverBlock
    if (hold && hold.kind === "paused") {
      add(
        "warning",
        "Paused: " + role,
        "No vote makes it take over" + (hold.reason ? " (" + hold.reason + ")" : "") + ", since " +
          wholeClockTime.format(new Date(hold.since)) + "."
      )
    }
    if (hold && hold.kind === "limited") {
      add(
        "warning",
        "Limited: " + role,
        "Too many failovers; votes are refused until " + wholeClockTime.format(new Date(hold.until)) + "."
      )
    }
  }
  if (self.peer.isExpired) {
    add(
      "warning",
      "Peer silent",
      "The " + self.role + " hears no word from the " + peer.role +
        (peer.problem ? ", and its status cannot be had." : ".")
    )
  } else if (peer.problem) {
    add("warning", "Peer unreachable", "It is heard, but the status of the " + peer.role + " cannot be had.")
  }
  return findings
}

const healthOf = (findings) =>
  findings.length === 0
    ? { level: "good", text: "Healthy" }
    : findings[0].level === "critical"
    ? { level: "critical", text: findings[0].title }
    : { level: "warning", text: "Degraded" }

/** Keeps a banner that says the same as before, so that it is read aloud once. */
const showFindings = (findings) => {
  const banners = byId("banners")
  const wanted = findings.map(({ level, text, title }) => {
    const banner = make("p", "banner", make("strong", "", title + "."), " ", text)
    banner.dataset.level = level
    return [...banners.children].find((shown) => shown.isEqualNode(banner)) || banner
  })
  for (const banner of [...banners.children].filter((banner) => !wanted.includes(banner))) {
    banner.remove()
  }
  wanted.forEach((banner, i) => {
    if (banners.children[i] !== banner) {
      banners.insertBefore(banner, banners.children[i] || null)
    }
  })
}
`
