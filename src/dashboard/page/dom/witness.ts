/**
 * The card of the witness, and the rights that the servers hold.
 */
import type { Pair } from "../pair.ts"
import { roles } from "../pair.ts"
import type { Right, WitnessCard } from "../witness.ts"
import { witnessCardOf } from "../witness.ts"
import { byId, fillList, find, make, setText } from "./elements.ts"

const card = byId("witness")

const fillRights = (list: Element, held: ReadonlyArray<Right>): void => {
  while (list.children.length > held.length) {
    list.lastElementChild?.remove()
  }
  held.forEach(({ part, text }, i) => {
    const gauge = () => {
      const node = make("div", "gauge", make("span", ""))
      node.setAttribute("aria-hidden", "true")
      return node
    }
    const item = list.children[i] ?? list.appendChild(make("li", "", make("p", ""), gauge()))
    setText(find(item, "p"), text)
    find(item, ".gauge span").style.transform = `scaleX(${part.toFixed(3)})`
  })
}

const fill = ({ figures, level, rights, texts }: WitnessCard): void => {
  card.dataset.level = level
  for (const [name, text] of Object.entries(texts)) {
    setText(find(card, `[data-field=${name}]`), text)
  }
  fillList(find(card, ".figures"), figures)
  for (const role of roles) {
    const own = find(card, `[data-rights=${role}]`)
    setText(find(own, ".summary"), rights[role].summary)
    fillRights(find(own, "ul"), rights[role].held)
  }
}

export const show = (pair: Pair): void => {
  const shown = witnessCardOf(pair)
  card.hidden = shown === undefined
  if (shown !== undefined) {
    fill(shown)
  }
}
