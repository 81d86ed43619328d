/**
 * The dashboard: one page that shows both servers of a pair, live.
 *
 * The page loads nothing from elsewhere. It receives `/events` and `/history` from the status server that serves it, and sends
 * commands to it. Import this module with a status server only: it is large.
 */
import * as crypto from "node:crypto"
import { markup, script, styles } from "./bundle.ts"

const hashOf = (text: string): string => `'sha256-${crypto.createHash("sha256").update(text).digest("base64")}'`

/**
 * The page, with its styles and its script inside.
 *
 * @category constants
 */
export const html: string = markup.replace("{{styles}}", () => styles).replace("{{script}}", () => script)

/**
 * The `Content-Security-Policy` of the page: only its own script and styles apply, and it connects to its own server only.
 *
 * @category constants
 */
export const csp: string = [
  "default-src 'none'",
  `script-src ${hashOf(script)}`,
  `style-src ${hashOf(styles)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")
