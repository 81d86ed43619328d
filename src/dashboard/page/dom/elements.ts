/**
 * How content gets into the page: text from a server is always text, never markup.
 */
import type { Entries } from "../cards.ts"

export const byId = <E extends Element = HTMLElement>(id: string): E => document.getElementById(id) as unknown as E

export const find = <E extends Element = HTMLElement>(parent: ParentNode, selector: string): E =>
  parent.querySelector(selector) as E

/** Writes only what has changed, because a screen reader announces every write. */
export const setText = (node: Element, text: string): void => {
  if (node.textContent !== text) {
    node.textContent = text
  }
}

export const make = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[K] => {
  const node = document.createElement(tag)
  node.className = className
  node.append(...children)
  return node
}

export const draw = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: { readonly [name: string]: string | number },
  ...children: ReadonlyArray<Node | string>
): SVGElementTagNameMap[K] => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, String(value))
  }
  node.append(...children)
  return node
}

/** Fills a list of terms in place. */
export const fillList = (list: Element, entries: Entries): void => {
  while (list.children.length > entries.length) {
    list.lastElementChild?.remove()
  }
  entries.forEach(([name, value], i) => {
    const row = list.children[i] ?? list.appendChild(make("div", "", make("dt", ""), make("dd", "")))
    setText(find(row, "dt"), name)
    setText(find(row, "dd"), value)
  })
}
