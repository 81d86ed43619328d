/**
 * The dashboard: one page that shows both servers of a pair, live.
 *
 * The page needs nothing but the status server that it came from: `/events`, `/history` and, for who has the token, the
 * orders.
 *
 * @since 0.1.0
 */
import * as crypto from "node:crypto"
import { page } from "./page.ts"
import { script } from "./script.ts"
import { styles } from "./styles.ts"

const hashOf = (text: string): string => `'sha256-${crypto.createHash("sha256").update(text).digest("base64")}'`

/**
 * The page, with its styles and its script inside.
 *
 * @since 0.1.0
 * @category constants
 */
export const html: string = page(styles, script)

/**
 * The `Content-Security-Policy` that goes with the page: only its own script runs, and it talks to its own server only.
 *
 * @since 0.1.0
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
