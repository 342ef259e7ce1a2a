"""Create a batch with ogx's own client. Wait for its end, or exit with the code that is given."""

import os
import sys
import time

from ogx_client import OgxClient
from ogx_client.models.create_message_batch_request import CreateMessageBatchRequest

(then,) = sys.argv[1:]
params = {"model": "sandbox/claude", "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}
requests = [{"custom_id": f"q-{number}", "params": params} for number in range(3)]
client = OgxClient(base_url=os.environ["ANTHROPIC_BASE_URL"], api_key=os.environ["ANTHROPIC_API_KEY"])
batches = client.messages
batch = batches.message_batch_v1_messages_batches_post(CreateMessageBatchRequest.from_dict({"requests": requests}))
while then == "wait" and batch.processing_status != "ended":
    time.sleep(0.1)
    batch = batches.message_batch_v1_messages_batches_message_batch_id_get(batch.id)
print(batch.id)
if then != "wait":
    sys.exit(int(then))
