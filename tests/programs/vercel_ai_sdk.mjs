// Let Claude say something, then create a batch. Wait for its results, or exit with the code that is given.

import { anthropic } from "@ai-sdk/anthropic";
import {
  experimental_getBatchResults as getBatchResults,
  experimental_getBatchStatus as getBatchStatus,
  experimental_startBatch as startBatch,
  generateText,
} from "ai";

const [then] = process.argv.slice(2);
const model = "claude-sonnet-5-5";
console.log((await generateText({ model: anthropic(model), prompt: "Hi" })).text);
const requests = [0, 1, 2].map((n) => ({ id: `q-${n}`, type: "text", model, prompt: "Hi", maxOutputTokens: 16 }));
const batch = await startBatch({ provider: anthropic, requests });
if (then !== "wait") process.exit(Number(then));
while ((await getBatchStatus({ provider: anthropic, batch })).status === "pending")
  await new Promise((resolve) => setTimeout(resolve, 100));
for await (const item of await getBatchResults({ provider: anthropic, batch })) console.log(item.id, item.status);
