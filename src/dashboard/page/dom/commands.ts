/**
 * The commands of an operator who has the token. The token is kept in a variable only.
 */
import type { NodeStatus } from "../../../status/Status.ts"
import type { Command, Panel, Question, Result } from "../commands.ts"
import { overrideOf, panelOf, questionOf, resultOf } from "../commands.ts"
import { byId, find, make, setText } from "./elements.ts"

const session = {
  token: "",
  /** One command at a time: from its button to its result. */
  isBusy: false,
  server: undefined as NodeStatus | undefined
}

const form = byId<HTMLFormElement>("commands")
const tokenInput = byId<HTMLInputElement>("token")
const reasonInput = byId<HTMLInputElement>("reason")

const buttonOf = (command: Command): HTMLButtonElement => find(form, `button[value=${command}]`)

export const show = (self: NodeStatus): void => {
  session.server = self
  const panel = panelOf(self)
  // A button with the focus stays enabled while busy, so that the focus is not lost.
  buttonOf("switchover").disabled = !panel.isActive
  buttonOf("promote").disabled = panel.isActive
  buttonOf("pause").hidden = panel.isPaused
  buttonOf("resume").hidden = !panel.isPaused
  setText(byId("commands-hint"), panel.hint)
  setText(byId("hint-promote"), panel.promoteHint)
  setText(byId("hint-pause"), panel.pauseHint)
  showSwitchoverHint(panel)
}

const showSwitchoverHint = ({ switchoverHint, switchoverLink }: Panel): void => {
  const hint = byId("hint-switchover")
  const key = `${switchoverHint} ${switchoverLink?.href}`
  // A link is not replaced without need: it may have the focus.
  if (hint.dataset.key === key) {
    return
  }
  hint.dataset.key = key
  hint.replaceChildren(switchoverHint)
  if (switchoverLink !== undefined) {
    const link = make("a", "", switchoverLink.text)
    link.href = switchoverLink.href
    hint.append(link, ".")
  }
}

const confirmed = ({ confirm, text, title }: Question, reason: string): Promise<boolean> => {
  const dialog = byId<HTMLDialogElement>("confirm")
  setText(byId("confirm-title"), title)
  setText(byId("confirm-text"), `${text} Reason: ${reason}`)
  setText(byId("confirm-yes"), confirm)
  dialog.returnValue = "no"
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true })
  })
}

const showResult = (level: Result["level"] | "busy" | "", text: string): void => {
  byId("result").dataset.level = level
  setText(byId("result"), text)
}

const setBusy = (isBusy: boolean): void => {
  session.isBusy = isBusy
  form.setAttribute("aria-busy", String(isBusy))
}

const setToken = (token: string): void => {
  session.token = token
  const isLocked = token === ""
  byId("unlock").hidden = !isLocked
  form.hidden = isLocked
  ;(isLocked ? tokenInput : reasonInput).focus()
}

/** Sends a command, and shows its result. `body` is its JSON. */
const send = async (command: Command, body: object | null): Promise<Result | undefined> => {
  showResult("busy", command === "switchover" ? "Switching over …" : "Waiting for the response …")
  try {
    const response = await fetch(`./${command}`, {
      method: "POST",
      headers: { authorization: `Bearer ${session.token}`, "content-type": "application/json" },
      body: body && JSON.stringify(body)
    })
    const result = resultOf(response.status, await response.json().catch(() => null))
    if (result.isTokenRejected) {
      setToken("")
    }
    showResult(result.level, result.text)
    return result
  } catch {
    showResult("critical", "No response from this server.")
    return undefined
  }
}

byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault()
  const token = tokenInput.value.trim()
  tokenInput.value = ""
  showResult("", "")
  setToken(token)
})

byId("lock").addEventListener("click", () => {
  showResult("", "")
  setToken("")
})

form.addEventListener("submit", async (event) => {
  event.preventDefault()
  const { isBusy, server } = session
  if (isBusy || server === undefined) {
    return
  }
  const command = (event.submitter as HTMLButtonElement).value as Command
  const reason = reasonInput.value.trim()
  setBusy(true)
  const question = questionOf(command, server)
  if (question === undefined || await confirmed(question, reason)) {
    const result = await send(command, command === "resume" ? null : { reason })
    if (result?.isMinority === true && await confirmed(overrideOf(server.role), reason)) {
      await send(command, { reason, withoutWitness: true })
    }
  }
  setBusy(false)
})
