/**
 * How things get into the page. Whatever a server said enters as text, never as markup.
 */
export const dom = String.raw`
/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id)

/** Writes only what is new, so that a screen reader is told only what is new. */
const setText = (node, text) => {
  if (node.textContent !== text) {
    node.textContent = text
  }
}

const make = (tag, className, ...children) => {
  const node = document.createElement(tag)
  node.className = className
  node.append(...children)
  return node
}

const draw = (tag, attributes, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const name in attributes) {
    node.setAttribute(name, attributes[name])
  }
  node.append(...children)
  return node
}

/** Makes a list of terms say these pairs of a name and a value. */
const fillList = (list, entries) => {
  while (list.children.length > entries.length) {
    list.lastElementChild.remove()
  }
  entries.forEach(([name, value], i) => {
    const row = list.children[i] || list.appendChild(make("div", "", make("dt", ""), make("dd", "")))
    setText(row.firstElementChild, name)
    setText(row.lastElementChild, value)
  })
}

const numbers = new Intl.NumberFormat("en")
const count = (n) => numbers.format(n)
const clockTime = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23"
})
const wholeClockTime = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23"
})
const calendarDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" })

const units = [{ name: "d", size: 86400 }, { name: "h", size: 3600 }, { name: "min", size: 60 }, { name: "s", size: 1 }]

/** A length of time in two units at most. */
const span = (millis) => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  const first = units.findIndex(({ size }) => seconds >= size)
  if (first < 0) {
    return Math.max(0, Math.round(millis)) + " ms"
  }
  let rest = seconds
  return units.slice(first, first + 2).flatMap(({ name, size }) => {
    const n = Math.floor(rest / size)
    rest -= n * size
    return n === 0 ? [] : [n + " " + name]
  }).join(" ")
}

/** Milliseconds with three digits that count. */
const precise = (millis) =>
  millis === null
    ? "–"
    : millis >= 1000
    ? (millis / 1000).toFixed(2) + " s"
    : millis.toFixed(millis >= 100 ? 0 : millis >= 10 ? 1 : 2) + " ms"

/** A setting: exact where it is short. */
const setting = (millis) => millis === null ? "none" : millis < 10000 ? count(millis) + " ms" : span(millis)

const rate = (perSecond) => perSecond === null ? "–" : count(Math.round(perSecond)) + "/s"
`
