/* Vercel AI SDK, with the MCP server: node vercel_ai_sdk_agent.mjs "cancel msgbatch_…" asks the person before a cancel.

npm install ai @ai-sdk/mcp @ai-sdk/anthropic; pip install 'cancel-message-batch[mcp]'. Credentials and base URL come from
the environment. The client waits one second for the server's first response, and cannot use a slower server, unless
protocolVersionDiscovery is false. */

import { createInterface } from "node:readline";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createMCPClient } from "@ai-sdk/mcp";
import { StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { ToolLoopAgent } from "ai";

const transport = new StdioMCPTransport({ command: "cancel-message-batch", args: ["mcp"], env: process.env });
const server = await createMCPClient({ transport, protocolVersionDiscovery: false });
const baseURL = `${process.env.ANTHROPIC_BASE_URL ?? "https://api.anthropic.com"}/v1`;
const model = createAnthropic({ baseURL })("claude-sonnet-5-5");
const typed = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function approve({ message_batch_id }) {
  console.log(`Cancel ${message_batch_id}? y/n`);
  return (await typed.next()).value === "y" ? "approved" : "denied";
}
const toolApproval = { cancel_message_batch: approve };
const agent = new ToolLoopAgent({ model, tools: await server.tools(), toolApproval });
console.log((await agent.generate({ prompt: process.argv[2] })).text);
await server.close();
process.stdin.destroy();
