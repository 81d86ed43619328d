/**
 * The commands of an operator who has the token. The token is kept in a variable only.
 */
import type { Command, Question, Result } from "../commands.ts"
import { checkOf, noResponse, overrideOf, panelOf, questionOf, resultOf, withoutCommand } from "../commands.ts"
import type { Pair } from "../pair.ts"
import { byId, find, setText } from "./elements.ts"

const session = {
  token: "",
  /** One command at a time: from its button to its result. */
  isBusy: false,
  pair: undefined as Pair | undefined
}

const form = byId<HTMLFormElement>("commands")
const unlockForm = byId<HTMLFormElement>("unlock")
const tokenInput = byId<HTMLInputElement>("token")
const reasonInput = byId<HTMLInputElement>("reason")

const commands: ReadonlyArray<Command> = ["switchover", "promote", "pause", "resume"]

const buttonOf = (command: Command): HTMLButtonElement => find(form, `button[value=${command}]`)

/** A button with the focus stays enabled while busy, so that the focus is not lost. */
export const show = (pair: Pair, isConnected: boolean): void => {
  session.pair = pair
  const { buttons, hint } = panelOf(pair, isConnected)
  find<HTMLButtonElement>(unlockForm, "button").disabled = !isConnected
  setText(byId("commands-hint"), hint)
  for (const command of commands) {
    const { hint, isEnabled, isShown } = buttons[command]
    buttonOf(command).disabled = !isEnabled
    buttonOf(command).hidden = !isShown
    byId(`hint-${command}`).hidden = !isShown
    setText(byId(`hint-${command}`), hint)
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

const setBusy = (form: HTMLFormElement, isBusy: boolean): void => {
  session.isBusy = isBusy
  form.setAttribute("aria-busy", String(isBusy))
}

const setToken = (token: string): void => {
  session.token = token
  const isLocked = token === ""
  unlockForm.hidden = !isLocked
  form.hidden = isLocked
  ;(isLocked ? tokenInput : reasonInput).focus()
}

/** Posts with a token, and gives what the response means. */
const post = async <A>(
  path: string,
  token: string,
  body: string | null,
  meaning: (status: number, body: unknown) => A
): Promise<A | Result> => {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body
    })
    return meaning(response.status, await response.json().catch(() => null))
  } catch {
    return noResponse
  }
}

/** Sends a command, and shows its result. */
const send = async (command: Command, path: string, body: object | null): Promise<Result> => {
  showResult("busy", command === "switchover" ? "Switching over …" : "Waiting for the response …")
  const result = await post(path, session.token, body && JSON.stringify(body), resultOf)
  if (result.isTokenRejected) {
    setToken("")
  }
  showResult(result.level, result.text)
  return result
}

unlockForm.addEventListener("submit", async (event) => {
  event.preventDefault()
  if (session.isBusy) {
    return
  }
  const token = tokenInput.value.trim()
  tokenInput.value = ""
  setBusy(unlockForm, true)
  showResult("busy", "Checking the token …")
  const problem = await post("./pause", token, withoutCommand, checkOf)
  showResult(problem?.level ?? "", problem?.text ?? "")
  setBusy(unlockForm, false)
  setToken(problem === undefined ? token : "")
})

byId("lock").addEventListener("click", () => {
  showResult("", "")
  setToken("")
})

form.addEventListener("submit", async (event) => {
  event.preventDefault()
  const { isBusy, pair } = session
  if (isBusy || pair === undefined) {
    return
  }
  const command = (event.submitter as HTMLButtonElement).value as Command
  const reason = reasonInput.value.trim()
  const { path, target } = panelOf(pair, true).buttons[command]
  setBusy(form, true)
  const question = questionOf(command, target, pair.self)
  if (question === undefined || await confirmed(question, reason)) {
    const result = await send(command, path, command === "resume" ? null : { reason })
    if (result.isMinority && await confirmed(overrideOf(target), reason)) {
      await send(command, path, { reason, withoutWitness: true })
    }
  }
  setBusy(form, false)
})
