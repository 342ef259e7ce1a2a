// Create a batch with the official TypeScript SDK, print its id, and wait, or exit with the code that is given.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(path.resolve(process.env.SDK_FOLDER), "any.js"));
const { default: Anthropic } = require("@anthropic-ai/sdk");

const params = { model: "claude-sonnet-4-20250514", max_tokens: 16, messages: [{ role: "user", content: "Hi" }] };
const requests = [0, 1, 2].map((number) => ({ custom_id: `q-${number}`, params }));
console.log((await new Anthropic().messages.batches.create({ requests })).id);
const [then] = process.argv.slice(2);
if (then === "wait") setTimeout(() => {}, 60_000);
else process.exit(Number(then));
