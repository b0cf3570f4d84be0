"""Words that decide what a claim says, and words that decide nothing, for `alerts.annotate.near`.

Only closed classes belong here. Other places, wards and persons are known by being other words.
"""

from __future__ import annotations

import re

_FACTS = """
mandag måndag maandag monday måndagen mandagen | tirsdag tysdag tisdag tuesday | onsdag wednesday | torsdag thursday
fredag friday | lørdag laurdag lördag saturday | søndag sundag söndag sunday
januar january januari | februar february februari | mars march | april | mai may maj | juni june | juli july | august
september | oktober october | november | desember december
dag today idag | går igår yesterday | morgen morgon imorgen tomorrow | kveld kväll evening tonight | natt night
morges morgas | formiddag føremiddag | ettermiddag | helg helga helgen | uke uka veke veka vecka week
måned månad month | år year | time timen hour | minutt minute minutter | halv halvt | hel hele heile helt | dobbel
åpen åpent åpne ope opent open öppet öppen åpna opna åpnet opnar åpner
stengt stengte stengd lukket lukka stängt closed shut stenger
låst | ulåst | oppe up | nede ned down | på | av | opp | inn in | ut out | inne | ute
trygt trygg trygge safe | utrygt utrygg utrygge unsafe | farlig farleg dangerous | ufarlig ufarleg
død død døde døydde dead died dræpt drept killed | live levande levende alive lever
skadd skadde skada injured hurt | uskadd uskadde
øke auke økt auka increase | kutte kutta kuttet cut redusere redusert senke | økes | kuttes
før før before | etter after | over above | under below | mellom between
nord nordre north | sør søndre south | øst østre aust east | vest vestre west
venstre left | høyre høgre right | foran framfor | bak bakfor behind
innen | siden | til | fra frå from
første fyrste first | andre second | tredje third | fjerde fourth | femte fifth | sjette sixth
sjuende sjuande | åttende åttande | niende | tiende tiande
alle all everyone | noen nokon some | mange many | få few | flere fleire more | færre | begge both | ene | eneste
bekreftet stadfesta confirmed bekrefter stadfestar | mistenkt suspected | opphevet oppheva lifted | gjelder gjeld
gratis free | ferdig done | må must | kan can | bør | skal | vil | trenger treng | får
mann mannen man | kvinne kvinna kvinnen woman | gutt gutten boy | jente jenta girl
far faren father | mor mora moren mother | bror broren brother | søster søstera syster sister
sønn sønnen son | datter dattera dotter daughter
tusen thousand | hundre hundred | million millioner | milliard milliarder | dusin | titalls | tusenvis | hundrevis
høy høg høyt high | lav låg lavt low | varm varmt hot | kald kaldt cold | vann vatn water | tom tomt empty | full fullt
"""
FACTS = {
    word: group
    for group, words in enumerate(_FACTS.replace("\n", "|").split("|"))
    for word in words.split()
}  # fmt: skip
"""Word of a fact → which of its class it is. Two that are not the same are never one word mistyped."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FILLERS = _words(
    """
    altså jo da då nå no visst visstnok vel bare berre faktisk egentlig liksom lissom helt heilt veldig så ja jaja nei
    også og ju typ just really actually now so well the a an et ein eit ei en det de dei dem som at er e æ selveste nok
    visstnok nemlig ganske litt kanskje men altfor absolutt her der i for med å eh ehh asså serr lol haha folkens faen
    """
)
"""Words that may be put into a claim without changing it."""

OPENERS = _words(
    """
    uff huff æsj off å oi wow omg nei ja hei heisann hallo alle sammen folkens obs viktig del dele deldel nb ps fwd fw
    via sitat so then og men herregud jøss fy søren faen kors altså ok okei okay breaking siste haster update
    oppdatering info åh ah hm hmm sjå se les lest høyrt hørt fra frå no nå the
    """
)
"""Words that open a post and say nothing of what it claims."""

HEARSAY = _words("at that att sier seier sei says said skriver skriv melder säger meiner mener påstår fortel forteller")
"""After these the claim begins, whoever it is put into the mouth of."""

LIMITS = _words("¬ men unntatt unnateke utenom utanom bare berre but except only utom bara")
"""What follows them behind a comma takes back a part of the claim."""

SIGNING = _words("mvh hilsen helsing klem vh hälsningar regards kilde kjelde källa source")
"""With these somebody signs, or says where it is from."""

DANGLING = _words("og eller at som for i med fra frå til under and or that the of in to och att")
"""No sentence ends with these: a text that does was cut."""

ASKING = _words(
    "hvor hva hvem hvordan hvorfor kor kva kven korleis kvifor koffer korsn var vad vem who what where why how"
)
ASKED_OF = _words("kan har vet veit er får skal")
WHOM_ASKED = _words("noen det dere de man jeg vi")
"""A question begins with the first of these, or with one of the second and one of the third, also without its mark."""

ASKED_ABOUT = _words("stemmer er har kan vet veit noen eller hæ sant is does anyone right är har någon eller stämmer")
"""A question behind a comma that begins with these is about what stands before it."""

ABBREVIATIONS = _words("avd bl ca dr eks etc f fr hr jf kl m maks min mr mrs nr osv pga prof sjh st tlf vs")
"""A full stop behind these ends no sentence."""

ATTACHED = _words(
    """
    til av for med i på og eller en et ein eit ei den det de dei som om når før etter uten utan hvis dersom viss at fra
    frå ved hos min mi mine sin si sine din di deres hans hennes the a an of for with if when before after without my
    his her their nesten snart ikke kanskje almost soon maybe att av på när innan efter utan min
    """
)
"""A word behind these goes with them: no claim begins between."""

DENIALS = re.compile(
    r" (?:(?<! håper det)(?<! kan)(?<! om det) stemmer ¬|¬ stemmer|er ¬ sant?|är ¬ sant?|¬ sant|¬ riktig|¬ rett at"
    r"|¬ korrekt|medfører ¬|feil at|er feil|er heilt feil|er helt feil|fel att|avkreft\w*|avvis(?:er|te|ar|es|ast)?"
    r"|dementer\w*|benekt\w*|nekter for|tilbakevis\w*|usan[tn]|uriktig\w*|oppspinn|falskt?|fake|løgn|lögn|bare tull"
    r"|berre tull|tull og tøys|falsk rykte|debunked|false|hoax|untrue|¬ true|denies|denied|deny|förnekar|avfärdar) "
)
"""Words that deny a claim; looked for in the words of a text, with a blank on either side."""
