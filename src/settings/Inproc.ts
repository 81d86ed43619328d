/** Endpoints within a process: libzmq uses no keys for them. */

export const isInproc = (endpoint: string): boolean => endpoint.startsWith("inproc:")

/** What is wrong with keys for an endpoint within a process. */
export const noKeysFor = (endpoint: string): string => `${endpoint}: endpoints of inproc have no keys; use tcp or ipc`
