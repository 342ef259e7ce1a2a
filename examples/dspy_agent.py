"""The tools in a DSPy program: python dspy_agent.py "Cancel message batch msgbatch_…"

pip install dspy. Credentials and base URL come from the environment. Nobody is asked before a cancel: this framework
has no switch for that, so give the tool only to programs you watch.
"""

import sys

import dspy

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches

dspy.configure(lm=dspy.LM("anthropic/claude-sonnet-5-5"))
agent = dspy.ReAct("request -> answer", tools=[cancel_message_batch, list_message_batches, get_message_batch])

if __name__ == "__main__":
    print(agent(request=sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)).answer)
