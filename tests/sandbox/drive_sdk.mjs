// Drives all six operations of a sandbox, and its error paths, with the official TypeScript SDK.
//
//     node drive_sdk.mjs BASE_URL
//
// Run it where `@anthropic-ai/sdk` is installed, or give the folder that has it: SDK_FOLDER=… node drive_sdk.mjs …

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const [baseURL] = process.argv.slice(2);
if (!/^https?:\/\//.test(baseURL ?? "")) {
  console.error("node drive_sdk.mjs BASE_URL");
  process.exit(2);
}
const require = createRequire(path.join(path.resolve(process.env.SDK_FOLDER ?? process.cwd()), "any.js"));
const { default: Anthropic } = require("@anthropic-ai/sdk");
const { VERSION: version } = require("@anthropic-ai/sdk/version");

const MANY = 40;
const FEW = 6;
const client = new Anthropic({ apiKey: "test-key", baseURL });
const { batches } = client.messages;

function requests(number) {
  const params = { model: "claude-sonnet-4-20250514", max_tokens: 16, messages: [{ role: "user", content: "Hi" }] };
  const made = Array.from({ length: number - 1 }, (_, index) => ({ custom_id: `q-${index}`, params }));
  return [...made, { custom_id: "bad", params: { ...params, max_tokens: -1 } }];
}

async function control(name, body) {
  const answer = await fetch(`${new URL(baseURL).origin}/_sandbox/${name}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, await answer.text());
}

async function all(items) {
  const collected = [];
  for await (const item of items) collected.push(item);
  return collected;
}

const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

function checkRunning(batch, status, number) {
  assert.equal(batch.type, "message_batch");
  assert.equal(batch.processing_status, status);
  assert.equal(batch.request_counts.processing, number);
  assert.equal(sum(batch.request_counts), number);
  assert.equal(batch.results_url, null);
  assert.equal(batch.ended_at, null);
}

async function checkEnded(id, number) {
  const batch = await batches.retrieve(id);
  assert.equal(batch.processing_status, "ended");
  assert.equal(sum(batch.request_counts), number);
  const counted = { processing: 0, succeeded: 0, errored: 0, canceled: 0, expired: 0 };
  const names = new Set();
  for (const line of await all(await batches.results(id))) {
    counted[line.result.type] += 1;
    names.add(line.custom_id);
    if (line.result.type === "succeeded") assert.equal(line.result.message.content[0].type, "text");
    if (line.result.type === "errored") assert.equal(line.result.error.error.type, "invalid_request_error");
  }
  assert.deepEqual(counted, batch.request_counts);
  assert.equal(names.size, number);
  return batch;
}

async function fails(kind, status, call) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof kind, String(error));
    assert.equal(error.status, status);
    assert.ok(error.requestID);
    assert.equal(error.error.request_id, error.requestID);
    return true;
  });
}

const stopped = await batches.create({ requests: requests(MANY) });
checkRunning(stopped, "in_progress", MANY);
const left = await batches.create({ requests: requests(FEW) });

const ids = (list) => list.map((batch) => batch.id);
const everything = ids(await all(batches.list({ limit: 1000 })));
assert.deepEqual(everything.slice(0, 2), [left.id, stopped.id]);
assert.deepEqual(ids(await all(batches.list({ limit: 2 }))), everything);
let before = [];
for await (const page of (await batches.list({ limit: 2, before_id: everything.at(-1) })).iterPages()) {
  before = [...ids(page.data), ...before];
}
assert.deepEqual(before, everything.slice(0, -1));

checkRunning(await batches.cancel(stopped.id), "canceling", MANY);
checkRunning(await batches.retrieve(stopped.id), "canceling", MANY);
await assert.rejects(batches.results(stopped.id), /results_url/);
await fails(Anthropic.BadRequestError, 400, () => batches.delete(stopped.id));
await control("advance", { seconds: 3600 });
assert.ok((await checkEnded(stopped.id, MANY)).request_counts.canceled > 0);
assert.equal((await checkEnded(left.id, FEW)).request_counts.succeeded, FEW - 1);

const as = (apiKey) => new Anthropic({ apiKey, baseURL, maxRetries: 0 }).messages.batches;
await fails(Anthropic.BadRequestError, 400, () => batches.cancel(stopped.id));
await fails(Anthropic.NotFoundError, 404, () => batches.cancel("msgbatch_unknown"));
await fails(Anthropic.AuthenticationError, 401, () => as("invalid").cancel(stopped.id));
await fails(Anthropic.PermissionDeniedError, 403, () => as("forbidden").cancel(stopped.id));
await fails(Anthropic.NotFoundError, 404, () => as("other-workspace").cancel(stopped.id));
await fails(Anthropic.APIError, 402, () => as("no-credit").create({ requests: requests(2) }));
await fails(Anthropic.BadRequestError, 400, () => batches.list({ limit: 0 }));
await fails(Anthropic.BadRequestError, 400, () => batches.create({ requests: [] }));
await control("faults", { match: "/cancel", status: 429, headers: { "retry-after": "0.01" } });
await fails(Anthropic.RateLimitError, 429, () => as("test-key").cancel(stopped.id));
const running = await batches.create({ requests: requests(MANY) });
await control("faults", { match: "/cancel", status: 529, headers: { "retry-after": "0.01" } });
checkRunning(await batches.cancel(running.id), "canceling", MANY);

assert.deepEqual(await batches.delete(stopped.id), { id: stopped.id, type: "message_batch_deleted" });
await fails(Anthropic.NotFoundError, 404, () => batches.retrieve(stopped.id));

const message = await client.messages
  .stream({ model: "any", max_tokens: 100, messages: [{ role: "user", content: "hello" }] })
  .finalMessage();
assert.equal(message.model, "scripted-stand-in");
console.log(`@anthropic-ai/sdk ${version}: all six operations and their errors`);
