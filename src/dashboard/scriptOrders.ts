/**
 * Orders of an operator who has the token.
 */
export const orders = String.raw`
/** Kept here and nowhere else. */
let token = ""
/** From an order being given to its answer, or to its being given up: there is one at a time. */
let isBusy = false
const setBusy = (busy) => {
  isBusy = busy
  byId("orders").setAttribute("aria-busy", String(busy))
}

/** @type {any} the latest status of this server */
let orderedServer = null

const buttons = Object.fromEntries(
  [...byId("orders").querySelectorAll("button[value]")].map((button) => [button.value, button])
)

const addressOf = (text) => {
  try {
    const url = new URL(text)
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null
  } catch {
    return null
  }
}

const showOrders = (self) => {
  orderedServer = self
  const isActive = self.state === "ACTIVE"
  const isPaused = self.takeoverBlock !== null && self.takeoverBlock.kind === "paused"
  const peer = otherOf[self.role]
  // The button that has the focus stays usable while it is busy, so that the focus is not lost.
  buttons.switchover.disabled = !isActive
  buttons.promote.disabled = isActive
  buttons.pause.hidden = isPaused
  buttons.resume.hidden = !isPaused
  setText(byId("orders-hint"), "Orders go to this server, the " + self.role + ".")
  const hint = byId("hint-switchover")
  const address = self.peerHttp && addressOf(self.peerHttp)
  const key = isActive + " " + address
  if (hint.dataset.key !== key) {
    hint.dataset.key = key
    if (isActive) {
      hint.replaceChildren("Hands over to the " + peer + ", without losing a request.")
    } else if (address) {
      const link = make("a", "", "page of the " + peer)
      link.href = address
      hint.replaceChildren("Is ordered at the active server: see the ", link, ".")
    } else {
      hint.replaceChildren("Is ordered at the active server.")
    }
  }
  setText(
    byId("hint-promote"),
    isActive ? "It is active." : "Makes the " + self.role + " active, if its peer is silent or hands over."
  )
  setText(
    byId("hint-pause"),
    isPaused
      ? "Votes count again from then on."
      : "No vote makes the " + self.role + " take over, until it is resumed or restarted."
  )
}

const confirmed = (title, text, yes) => {
  const dialog = byId("confirm")
  setText(byId("confirm-title"), title)
  setText(byId("confirm-text"), text)
  setText(byId("confirm-yes"), yes)
  dialog.returnValue = "no"
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true })
  })
}

const questions = {
  switchover: (role) => [
    "Switch over?",
    "The " + role + " ends what it has accepted and hands over to the " + otherOf[role] +
      ". Clients wait for a moment.",
    "Switch over"
  ],
  promote: (role) => ["Promote the " + role + "?", "It becomes active if its peer is silent or hands over.", "Promote"]
}

const showAnswer = (level, text) => {
  byId("answer").dataset.level = level
  setText(byId("answer"), text)
}

const setLocked = (isLocked) => {
  byId("unlock").hidden = !isLocked
  byId("orders").hidden = isLocked
  byId(isLocked ? "token" : "reason").focus()
}

const forget = () => {
  token = ""
  setLocked(true)
}

const tellAnswer = (status, body) => {
  if (status === 200) {
    showAnswer("good", body.message || "Done.")
  } else if (status === 401) {
    forget()
    showAnswer("critical", "The token is wrong.")
  } else if (status === 404) {
    forget()
    showAnswer("critical", "This server takes no orders: it was started without a token.")
  } else {
    showAnswer("critical", body.error || body.message || "Refused (" + status + ").")
  }
}

const give = async (order, reason) => {
  showAnswer("busy", order === "switchover" ? "Switching over …" : "Waiting for the answer …")
  try {
    const response = await fetch("./" + order, {
      method: "POST",
      headers: { authorization: "Bearer " + token, "content-type": "application/json" },
      body: order === "resume" ? null : JSON.stringify({ reason })
    })
    tellAnswer(response.status, await response.json().catch(() => null) || {})
  } catch {
    showAnswer("critical", "No answer from this server.")
  }
}

byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault()
  token = byId("token").value.trim()
  byId("token").value = ""
  showAnswer("", "")
  setLocked(false)
})

byId("lock").addEventListener("click", () => {
  showAnswer("", "")
  forget()
})

byId("orders").addEventListener("submit", async (event) => {
  event.preventDefault()
  const order = event.submitter.value
  const reason = byId("reason").value.trim()
  if (isBusy || orderedServer === null) {
    return
  }
  setBusy(true)
  const [title, text, yes] = questions[order] ? questions[order](orderedServer.role) : []
  if (!title || await confirmed(title, text + " Reason: " + reason, yes)) {
    await give(order, reason)
  }
  setBusy(false)
})
`
