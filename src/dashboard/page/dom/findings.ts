/**
 * The findings of `bstar doctor`, each with its remedy.
 */
import type { Finding } from "../../../status/Doctor.ts"
import { byId, find, make, setText } from "./elements.ts"

const levels: { readonly [S in Finding["severity"]]: string } = {
  error: "critical",
  warning: "warning",
  info: "unknown"
}

export const show = (findings: ReadonlyArray<Finding>): void => {
  const list = byId("findings-list")
  byId("findings").hidden = findings.length === 0
  while (list.children.length > findings.length) {
    list.lastElementChild?.remove()
  }
  findings.forEach(({ remedy, severity, what }, i) => {
    const item = list.children[i] ??
      list.appendChild(make("li", "", make("span", "severity"), make("p", "what"), make("p", "remedy")))
    const tag = find(item, ".severity")
    tag.dataset.level = levels[severity]
    setText(tag, severity)
    setText(find(item, ".what"), what)
    setText(find(item, ".remedy"), remedy)
  })
}
