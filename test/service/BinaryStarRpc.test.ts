import { memory, tcp } from "../suites/rpcPair.ts"
import { rpcSuite } from "../suites/rpcSuite.ts"

rpcSuite("memory", memory)
rpcSuite("tcp", tcp)
