#!/usr/bin/env node
import { compile, run } from "./compiled.ts"

run(compile())
