/* Mastra, with the MCP server: node mastra_agent.mjs "cancel msgbatch_…" asks the person before a cancel.

npm install @mastra/core @mastra/mcp @ai-sdk/anthropic; pip install 'cancel-message-batch[mcp]'. Credentials and base URL
come from the environment. (If the answer comes later, as on a web page, the server's requireToolApproval makes a run
wait for it; that needs a storage.) */

import { createInterface } from "node:readline";
import { createAnthropic } from "@ai-sdk/anthropic";
import { Agent } from "@mastra/core/agent";
import { MCPClient } from "@mastra/mcp";

const server = { command: "cancel-message-batch", args: ["mcp"], env: process.env };
const client = new MCPClient({ servers: { batches: server } });
const baseURL = `${process.env.ANTHROPIC_BASE_URL ?? "https://api.anthropic.com"}/v1`;
const model = createAnthropic({ baseURL })("claude-sonnet-5-5");
const typed = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function beforeToolCall({ toolName, input }) {
  if (!toolName.endsWith("cancel_message_batch")) return;
  console.log(`Cancel ${input.message_batch_id}? y/n`);
  if ((await typed.next()).value === "y") return;
  return { proceed: false, output: "Not canceled: the person said no." };
}
const [tools, hooks] = [await client.listTools(), { beforeToolCall }];
const agent = new Agent({ id: "agent", name: "agent", instructions: "", model, tools, hooks });
console.log((await agent.generate(process.argv[2])).text);
await client.disconnect();
process.stdin.destroy();
