/**
 * A card for each server, from the template of the page.
 */
import type { Role } from "../../../protocol/StateMachine.ts"
import type { Card } from "../cards.ts"
import { cardOf } from "../cards.ts"
import type { Pair } from "../pair.ts"
import { roles } from "../pair.ts"
import type { Traffic } from "../traffic.ts"
import { byId, fillList, find, setText } from "./elements.ts"

const makeCard = (role: Role): HTMLElement => {
  const card = byId<HTMLTemplateElement>("node").content.firstElementChild!.cloneNode(true) as HTMLElement
  const title = find(card, "h2")
  title.textContent = role
  title.id = `title-${role}`
  card.setAttribute("aria-labelledby", title.id)
  card.dataset.role = role
  const badge = find(card, ".badge")
  badge.classList.add(`of-${role}`)
  badge.textContent = role.charAt(0).toUpperCase()
  return card
}

const cards = { primary: makeCard("primary"), backup: makeCard("backup") }
byId("nodes").append(cards.primary, cards.backup)

const fill = (card: HTMLElement, { age, isPeerExpired, lists, texts }: Card): void => {
  const field = (name: string) => find(card, `[data-field=${name}]`)
  for (const [name, text] of Object.entries(texts)) {
    setText(field(name), text)
  }
  for (const [name, entries] of Object.entries(lists)) {
    fillList(field(name), entries)
  }
  find(card, ".gauge span").style.transform = `scaleX(${age.toFixed(3)})`
  find(card, ".heartbeat").classList.toggle("expired", isPeerExpired)
}

export const show = (pair: Pair, measured: Traffic["measured"]): void => {
  for (const role of roles) {
    const server = pair.servers[role]
    const card = cards[role]
    card.dataset.state = server.state ?? "none"
    card.classList.toggle("unknown", server.status === undefined)
    fill(card, cardOf(pair, server, measured[role].perSecond))
  }
}
