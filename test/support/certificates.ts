/** Certificates for TLS, made by openssl. */
import type { Scope } from "effect"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { temporaryDirectory, writeFile } from "./engine.ts"

export interface Certificate {
  readonly certificate: string
  readonly key: string
}

export interface Certificates {
  readonly authority: string
  /** Of 127.0.0.1. */
  readonly server: Certificate
  readonly client: Certificate
  /** Another authority, which has signed nothing. */
  readonly stranger: string
}

const exists = (): boolean => {
  try {
    return execFileSync("openssl", ["version"]).toString().startsWith("OpenSSL 3")
  } catch {
    return false
  }
}

/** Why there can be no certificates here. */
export const opensslIsMissing = exists() ? undefined : "openssl 3 is not installed"

const make = (directory: string, name: string, signer: Certificate | undefined, subject: string): Certificate => {
  const files = { certificate: path.join(directory, `${name}.pem`), key: path.join(directory, `${name}.key`) }
  execFileSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-keyout", files.key, "-out", files.certificate, "-subj", `/CN=${subject}`],
    ...(signer === undefined ? [] : [
      ...["-CA", signer.certificate, "-CAkey", signer.key],
      ...["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    ])
  ], { stdio: "pipe" })
  // The server of an engine runs as another user.
  Object.values(files).forEach((file) => writeFile(file, fs.readFileSync(file)))
  return files
}

/** Makes certificates. The subject of the client's is a user of the engine. */
export const makeCertificates = (user: string): Effect.Effect<Certificates, never, Scope.Scope> =>
  Effect.map(temporaryDirectory, (directory) => {
    const authority = make(directory, "authority", undefined, "authority")
    return {
      authority: authority.certificate,
      server: make(directory, "server", authority, "server"),
      client: make(directory, "client", authority, user),
      stranger: make(directory, "stranger", undefined, "stranger").certificate
    }
  })

/** A certificate and its key, made once: for tests that need some valid files, and no openssl. */
export const example = {
  certificate: `-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUV/mRwcriXKrzb4EKixkiB/AM8icwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMzAxNTQzMDBaGA8yMTI2MTEwNjE1NDMw
MFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNLz
TKt2U3q+bGvd9c/2cFRQ9R81OnDMYg10QLrxmq8IXjIbt/9QkTbI7YhgG88ZNyQ4
oY7eroOPGWw+MdYyqVajUzBRMB0GA1UdDgQWBBSliOnOIHO4lESZHkJddqQOPFFk
ojAfBgNVHSMEGDAWgBSliOnOIHO4lESZHkJddqQOPFFkojAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQC5g7zXqBoIoxSlhVM+ZCdqGRj8wZVKQfyf
bjiV8jyvHAIhAKPR+8hGf85dB8d6eK51RE//r/mVFLn72CoZaIZ0JHP+
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGQaD+gqJVpsglQQ6
LXWgcm3ZcH6z2OIut7/veFqQ7XehRANCAATS80yrdlN6vmxr3fXP9nBUUPUfNTpw
zGINdEC68ZqvCF4yG7f/UJE2yO2IYBvPGTckOKGO3q6DjxlsPjHWMqlW
-----END PRIVATE KEY-----
`
}
