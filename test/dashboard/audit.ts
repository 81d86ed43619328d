/**
 * Accessibility checks of a page, as expressions for `page.evaluate`. Each gives what it finds wrong.
 */

/** Elements without a name for screen readers, identifiers that are used twice, and references to none. */
export const nameless = String.raw`(() => {
  const nameOf = (node) => {
    const by = node.getAttribute("aria-labelledby")
    const labels = by ? by.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ") : ""
    const label = node.labels?.length ? [...node.labels].map((label) => label.textContent).join(" ") : ""
    const own = node.matches("section, article, dialog, svg, input, ol") ? "" : node.textContent
    return (labels || node.getAttribute("aria-label") || label || own || "").trim()
  }
  const needed = "section, article, dialog, button, input, a, summary, th, svg[role=img], [role=region], [tabindex]"
  const bad = [...document.querySelectorAll(needed)].filter((node) => node.checkVisibility() && nameOf(node) === "")
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id)
  const references = [...document.querySelectorAll("[aria-labelledby], [aria-describedby]")].flatMap((node) =>
    [node.getAttribute("aria-labelledby"), node.getAttribute("aria-describedby")].filter(Boolean).join(" ").split(" ")
  )
  const drawings = [...document.querySelectorAll("svg")].filter((node) =>
    node.getAttribute("role") !== "img" && node.getAttribute("aria-hidden") !== "true"
  )
  return [
    ...bad.map((node) => "no name: " + node.outerHTML.slice(0, 120)),
    ...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => "twice: " + id),
    ...references.filter((id) => !ids.includes(id)).map((id) => "not there: " + id),
    ...drawings.map((node) => "neither an image nor hidden: " + node.outerHTML.slice(0, 120))
  ]
})()`

/** Headings that leave out a level. */
export const headings = String.raw`(() => {
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter((node) => node.checkVisibility()).map((node) =>
    Number(node.tagName[1])
  )
  return levels.filter((level, i) => level > (levels[i - 1] ?? 0) + 1)
})()`

/** Texts that stand out too little from what is behind them: less than 4.5 to 1, where they are not disabled. */
export const faint = String.raw`(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const pixel = (color) => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const light = (color) => {
    const [r, g, b] = pixel(color).map((n) => n / 255).map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const groundOf = (node) => {
    const box = node.closest("g")?.querySelector("rect, circle")
    if (node instanceof SVGElement && box) {
      return getComputedStyle(box).fill
    }
    for (let at = node; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor
      if (pixel(color)[3] === 255) {
        return color
      }
    }
    return "white"
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const found = []
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const node = text.parentElement
    if (text.data.trim() === "" || !node.checkVisibility() || node.closest("script, style, noscript, .unseen, :disabled")) {
      continue
    }
    const style = getComputedStyle(node)
    const [a, b] = [light(node instanceof SVGElement ? style.fill : style.color), light(groundOf(node))]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (contrast < 4.5) {
      found.push(contrast.toFixed(2) + ": " + text.data.trim().slice(0, 60))
    }
  }
  return found
})()`

/** How far the page reaches beyond the window, and what reaches there. */
export const tooWide = String.raw`(() => {
  const width = document.documentElement.clientWidth
  return document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll("body *")].filter((node) =>
    node.getBoundingClientRect().right > width + 0.5
  ).map((node) => node.outerHTML.slice(0, 120))
})()`

/** Things to press that are too small for a finger: less than 24 pixels high or wide. */
export const tooSmall = String.raw`[...document.querySelectorAll("button, input, summary")].filter((node) => {
  const { height, width } = node.getBoundingClientRect()
  return node.checkVisibility() && (height < 24 || width < 24)
}).map((node) => node.outerHTML.slice(0, 120))`

/** Parts of the page that scroll by themselves. */
export const nestedScrolls = String.raw`[...document.querySelectorAll("main, main *")].filter((node) => {
  const { overflowX, overflowY } = getComputedStyle(node)
  return node.checkVisibility() && !node.matches("input, .unseen") &&
    [overflowX, overflowY].some((overflow) => overflow === "auto" || overflow === "scroll")
}).map((node) => node.outerHTML.slice(0, 120))`
