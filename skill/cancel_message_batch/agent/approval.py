"""Decide which batches a message orders to cancel, so that the person does not have to be asked about them.

The whole message must be one order to cancel: every word must be known, in a sequence that the table below allows. For
anything else the person is asked: a bare id, an unknown word, a condition, a negation, a quotation, a second sentence.
The rule lists what is an order, because nobody can list everything that is not. An unnecessary question costs a second;
a wrong cancellation costs a batch.

The notation is EBNF: [optional], {repeated}, (group), a|b. CONTRIBUTING.md says how to add a language.
"""

import re
import unicodedata
from collections.abc import Awaitable, Iterable
from typing import Any

from cancel_message_batch.api.models import ID_LIMIT, ID_PATTERN, MessageBatch, checked_id
from cancel_message_batch.tools import Approve, AsyncApprove

_LANGUAGES = """
en and;
please|pls|kindly|good morning|(hi|hello|hey) [claude]|yes|ok|okay;
please|thanks|thank you|[right] now|right away|immediately|at once|asap|for me
|(using|via|through|with) the anthropic api;
[[the|this|that|these|those|my] [following] [message] (batch|batches) [with|:]] [[the] (id|ids) [:]] #|these [:] #;
[just|go ahead and|(i want|i need|i would like|i'd like) you to] (cancel|stop|abort|kill) _ ~ [. (thanks|thank you)]
|(stop|halt|terminate|abort) [the] processing [of] _ ~
|(halt|terminate) [the|this] [message] batch [with] [[the] id] [:] # ~;
(could you [please]|(can|will|would) you please) (cancel|stop|abort|kill) _ [[,] (please|now)] ?
|(can|will|would) you (cancel|stop|abort|kill) _ [,] please ?

de und;
bitte|hallo|hi|hey|guten (morgen|tag)|ja|ok|okay;
bitte|danke|jetzt|sofort|umgehend|(mit der|über die) anthropic-api;
[[den|die|diesen|diese|meinen|meine] [message] (batch|batches) [mit|:]] [[der|den] (id|ids) [:]] #;
(brich|brechen sie) ~ _ ~ ab ~|bitte (stoppe|storniere) ~ _ ~|(stoppe|storniere) bitte ~ _ ~
|(stoppen sie|stornieren sie) ~ _ ~|bitte _ ~ (abbrechen|stoppen|stornieren) ~
|stoppen sie ~ die verarbeitung (von|des) _ ~;
(könntest du [bitte]|(kannst du|könnten sie|können sie|würdest du|würden sie) bitte) _ (abbrechen|stoppen|stornieren) ?
|(kannst du|könnten sie|können sie) _ bitte (abbrechen|stoppen|stornieren) ?

fr et;
s'il (te|vous) plaît|svp|bonjour|salut|oui|ok;
s'il (te|vous) plaît|svp|stp|merci|maintenant|immédiatement|tout de suite|via l'api anthropic;
[[le|les|ce|ces|mon|mes] (lot|lots|batch|batchs) [de messages] [avec|:]] [[l'|les] (id|ids|identifiant) [:]] #;
(annule|annulez|arrête|arrêtez|stoppez) ~ [le traitement (de|du)] _ ~|veuillez (annuler|arrêter|stopper) ~ _ ~;
(pourrais-tu|pourriez-vous) (annuler|arrêter|stopper) _ [[,] s'il (te|vous) plaît] ?

es y;
por favor|¡|hola|buenos días|ok;
por favor|gracias|ahora [mismo]|inmediatamente|(usando|mediante) la api de anthropic;
[[el|los|este|estos|mi|mis] (lote|lotes|batch|batches) [de mensajes] [con|:]] [[el|los] (id|ids|identificador) [:]] #;
(cancela|anula|detén) ~ _ ~|por favor [,] [¡] (cancele|anule|detenga) ~ _ ~|detén ~ el procesamiento (de|del) _ ~;
[¿] (podrías|podría usted|(puedes|podría) por favor) (cancelar|anular|detener) _ [[,] por favor] ?

pt e;
por favor|olá|oi|bom dia;
por favor|obrigado|obrigada|agora|imediatamente|(usando|via) a api da anthropic;
[[o|os|este|estes|esse] (lote|lotes|batch|batches) [de mensagens] [com|:]] [[o|os] (id|ids|identificador) [:]] #;
por favor [,] (cancele|cancela|aborte) ~ _ ~|(cancele|aborte) ~ (o|este|esse) (lote|batch) [de mensagens] [com [o] id] #
|cancela ~ _ ~|(pare|interrompa) ~ o processamento (de|do) _ ~;
(você poderia|[você] (pode|poderia) por favor) (cancelar|abortar|parar) _ [[,] por favor] ?

it e;
per favore|per cortesia|ciao|buongiorno|ok;
per favore|per cortesia|grazie|ora|adesso|subito|immediatamente|tramite l'api di anthropic;
[[il|i|questo|questi] (batch|lotto|lotti) [di messaggi] [con|:]] [[l'|gli] id [:]] #;
(annulla|ferma|interrompi) ~ [l'elaborazione (di|del)] _ ~;
(potresti|(puoi|potrebbe) per favore) (annullare|fermare|interrompere) _ [[,] per favore] ?

nl en;
alsjeblieft|alstublieft|hoi|hallo|hi|ja|ok|oké;
alsjeblieft|alstublieft|bedankt|dank je|meteen|direct|onmiddellijk|via de anthropic-api;
[[de|deze|mijn] [volgende] [message] (batch|batches) [met|:]] [[het|de] (id|ids|id's) [:]] #;
(annuleer|stop) ~ [de verwerking van] _ ~|breek ~ _ ~ af ~;
(zou je|zou u|kun je|kunt u) (alsjeblieft|alstublieft) _ [kunnen] (annuleren|stoppen|afbreken) ?

pl i|oraz;
proszę|cześć|hej|dzień dobry|tak|ok;
proszę|dziękuję|dzięki|teraz|natychmiast|od razu|(przez|za pomocą) api anthropic;
[[ten|te|tę] (batch|batche|pakiet|pakiety|partię|partie) [wiadomości] [o|:]] [(id|identyfikatorze) [:]] #;
(anuluj|przerwij|proszę (anulować|przerwać)) ~ _ ~|(przerwij|zatrzymaj) ~ przetwarzanie [batcha|pakietu|partii] # ~;
[czy] (mógłbyś|mogłabyś|możesz proszę) (anulować|przerwać) _ ?

ru и;
пожалуйста|привет|здравствуйте|добрый день|да|ок;
пожалуйста|спасибо|[прямо] сейчас|немедленно|через api anthropic;
[[этот|эти] (батч|батчи|пакет|пакеты) [сообщений] [с|:]] [(id|идентификатором) [:]] #;
(отмени|отмените|останови|остановите|прерви|прервите) [, пожалуйста ,] ~ _ ~
|(останови|остановите|прерви|прервите) ~ обработку [батча|пакета] # ~;
(можешь|можете|мог бы ты|могли бы вы) [,] пожалуйста [,] (отменить|остановить|прервать) _ ?

tr ve;
lütfen|merhaba|selam|evet;
lütfen|teşekkürler|hemen|şimdi|derhal|anthropic api ile;
[[bu] [mesaj] batch [:]] [id [:]] # ['(yı|yi|yu|yü|ı|i|u|ü)]|# [id'li|numaralı] [mesaj] (batch'i|batchi|batch'ini);
_ ~ (iptal (et|edin|ediniz)|durdur|durdurun|durdurunuz) ~;
lütfen _ iptal (eder|edebilir) (misin|misiniz) ?|_ lütfen iptal (eder|edebilir) (misin|misiniz) ?

ja と|および;
こんにちは|すみません|はい;
今すぐ|すぐに|直ちに|anthropic api (を使って|で);
[この|次の|以下の] [メッセージ] バッチ [id] [:] #|[id [が]] # [の [メッセージ] バッチ];
~ _ を ~ (キャンセル|中止|停止) (して [ください|下さい]|しろ|せよ)|~ _ を ~ (止めて|取り消して) [ください|下さい]
|~ _ の処理を ~ (中止|停止) して [ください|下さい]|_ のキャンセルをお願い (します|いたします);
_ を (キャンセル|中止|停止) して (くれますか|もらえますか|いただけますか) [?]

zh 和|与|與|及|以及;
你好|您好|好的 ,|是的 ,;
立即|立刻|马上|馬上|现在|現在|(使用|通过|透過) anthropic api;
[这个|這個|该|这些|這些|以下] [消息|訊息] (批次|批处理|批處理) [id] [:] #|[id [为|為]] #
|id (为|為) # 的 [消息|訊息] (批次|批处理);
(请|請|请你|请您|請您|麻烦|麻煩|帮我|幫我) ~ (取消|停止|终止|終止|中止) [处理|處理] _ [[,] (谢谢|謝謝)]
|[请|請|请你|请您|請您|麻烦|麻煩] [帮我|幫我] 把 _ ~ (取消|停止|终止|終止|中止)
|(取消|停止|终止|終止|中止) [处理|處理] _ [[,] (谢谢|謝謝)];
可以 (请你|请您|請你|請您) 取消 _ [吗|嗎] [?]

ko 와|과|및|하고|그리고;
안녕|안녕하세요|네|예;
지금|즉시|바로|당장|anthropic api (로|를 사용하여|를 통해);
[이|다음] [메시지] 배치 [id] [:] # [을|를]|[id [가]] # [인] [[메시지] 배치] [을|를];
~ _ ~ (취소|중지|중단) (해 (줘|줘요|주세요|주십시오)|하세요|하십시오|해라)|_ ~ 취소 [를] 부탁 (해요|합니다|드립니다)
|_ 의 처리를 ~ (중지|중단) (해 (줘|줘요|주세요|주십시오)|하세요|하십시오|해라);
_ (취소|중지|중단) 해 (줄래요|주실래요|주시겠어요|주시겠습니까) [?]
"""

_CJK = "\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3"  # written without spaces, so each character counts as a word
# A letter of another alphabet becomes part of the word or id next to it, which is then unknown.
_WORD = re.compile(rf"[{_CJK}]|(?:[^\W{_CJK}]|[-#])+|\n|\S")
_ID = re.compile(ID_PATTERN)
_MARKED = re.compile(r"(`|\*\*?)#\1|<#>")
_COMMAS = re.compile(r"#(?:\s*[,、，]\s*#)+")
_ABOVE_A_LIST = re.compile(r"[:：][^\S\n]*\n")
_ITEM = re.compile(r"(?:[-*•]\s+|\d{1,4}[.)]\s+)?#\s*[,、，]?")
_SAME = str.maketrans("’，、。！？：", "',,.!?:") | {ord("İ"): "i"}  # İ folds to two characters
_LONGEST = 300  # characters of an order without its ids
# Between < and >, up to three: a bounded repetition, because a message may try to repeat without end.
_EBNF = {"[": "(?:", "]": ")?", "{": "(?:", "}": ")*", "<": "(?:", ">": "){0,3}", "(": "(?:", ")": ")", "|": "|"}


def named_ids(message: str) -> set[str]:
    """Return the message batch ids that a message orders to cancel: all ids in it, or none."""
    ids = set(_ID.findall(message))
    if not ids or "#" in message or max(map(len, ids)) > ID_LIMIT:
        return set()
    text = _COMMAS.sub("#", _MARKED.sub("#", _ID.sub("#", message)))
    order, *below = _ABOVE_A_LIST.split(text, maxsplit=1)
    if below and all(_ITEM.fullmatch(line.strip()) for line in below[0].splitlines() if line.strip()):
        text = f"{order}: #"
    text = _one_line(text)
    if len(text) > _LONGEST:
        return set()
    words = _WORD.findall(unicodedata.normalize("NFC", text).translate(_SAME).casefold())
    sentence = "".join(f"{word} " for word in words)
    return ids if any(pattern.fullmatch(sentence) for pattern in _ORDERS) else set()


def _one_line(text: str) -> str:
    """Join lines. A line that does not end in a comma may be a title: it keeps its line end, which is in no order."""
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    joined = " ".join(f"{line} " if line.endswith((",", "，", "、")) else f"{line}\n" for line in lines if line)
    return joined.strip()


def _pattern(block: str) -> re.Pattern[str]:
    """Translate one language of the table into a pattern for a whole message."""
    head, front, haste, batch, order, question = " ".join(block.split()).split(";")
    batch = batch.replace("#", f"# {{[,] ({head.split()[1]}) #}}")
    form = f"[claude ,] <({front}) [,]> (({order}) [.|!|!!|!!!]|({question}))"
    form = form.replace("_", f"({batch})").replace("~", f"<[,] ({haste})>")
    return re.compile("".join(_EBNF.get(word) or re.escape(f"{word} ") for word in _WORD.findall(form.casefold())))


_ORDERS = [_pattern(block) for block in _LANGUAGES.split("\n\n")]


class Consent:
    """What a person agreed to cancel, for a loop of your own: give it to ``CANCEL.run`` as ``approve``.

    If the person's newest message is nothing but an order to cancel an id, that batch is canceled without a question.
    About any other batch, ``ask`` is called, once for each message. What they agreed to ends with their next message.

    Args:
        ask: Asks the person about a batch, for example ``question(batch)``: True for a yes, False for a no, None when
            there is nobody to ask. For ``run_async`` it may be a coroutine function. Without it, a batch that needs a
            yes is not canceled.
        may_cancel: Ids of batches that may be canceled at any time without asking.

    Raises:
        InvalidInputError: A text in ``may_cancel`` is not a message batch id.
    """

    def __init__(self, ask: Approve | AsyncApprove | None = None, *, may_cancel: Iterable[str] = ()) -> None:
        self._ask = ask
        self._may_cancel = frozenset(map(checked_id, may_cancel))
        self._words: str | None = None
        self._named: set[str] = set()
        self._answers: dict[str, bool | None] = {}

    def person_said(self, message: str, *, may_order: bool = True) -> None:
        """Begin with a new message. Pass only what the person typed, never a file or the result of a tool.

        With ``may_order=False`` it names no batch: for text that may be less than they said, as a line of a paste.
        """
        self._words, self._named = message, named_ids(message) if may_order else set()
        self._answers = {}

    @property
    def words(self) -> str | None:
        """The person's newest message."""
        return self._words

    def agreed(self, message_batch_id: str) -> str | None:
        """Return how the person agreed without a question, "named" or "--may-cancel", or None if they did not."""
        if message_batch_id in self._named:
            return "named"
        return "--may-cancel" if message_batch_id in self._may_cancel else None

    def __call__(self, batch: MessageBatch, /) -> bool | Awaitable[bool | None] | None:
        """Ask about a batch, unless the answer is known; return it, or an awaitable if ``ask`` returned one."""
        if batch.id in self._answers:
            return self._answers[batch.id]
        answer: Any = self._ask(batch) if self._ask else None
        if isinstance(answer, Awaitable):
            return self._awaited(batch.id, answer)
        self._answers[batch.id] = answer
        return self._answers[batch.id]

    async def _awaited(self, message_batch_id: str, answer: Awaitable[bool | None]) -> bool | None:
        answers = self._answers  # a later message has others
        answers[message_batch_id] = value = await answer
        return value
