"""Words that stand in every third sentence of bokmål, nynorsk and English: none of them says what a post is about.

Function words only (pronouns, prepositions, conjunctions, articles, auxiliary verbs, the commonest adverbs). As a track
each would match a large share of everything said, and a paid source bills every post.
"""

from __future__ import annotations

_BOKMAAL = """
alle alt altså andre annen annet at av bare begge ble bli blir blitt både da dag de deg dei dem den denne der dere
deres det dette din dine disse ditt du eg ei ein eit eller en enn er et ett etter flere for fordi fra få får før gjør
gjøre gjort god godt gå går ha hadde han hans har hele helt henne hennes her hos hun hva hvem hver hvilke hvis hvor
hvordan hvorfor i idag igjen ikke ingen inn ja jeg jo kan kanskje kom komme kommer kunne litt man mange med meg meget
men mens mer mest min mine mitt mot mye må måtte ned nei noe noen nok nå når og også om opp oss over på samme se seg
selv ser si sier sin sine sitt siden skal skulle slik som så sånn til tror under ut uten var ved vel vet vi vil ville
vår være vært å
"""
_NYNORSK = """
blei dykk dykkar då eitt enno frå gjekk gjer gjera heile hennar hjå ho honom ikkje inga inkje kjem koma korleis kva
kvar kven kvifor lik me medan mykje no noka noko nokon nokre sidan sjøl sjølv somme somt såg uta vart vera vere verte
vore vorte åt òg
"""
_ENGLISH = """
a about after again all also am an and any are as at be because been before being but by can come could day did do does
done even first for from get go going good got had has have he her here him his how i if in into is it its just know
like look make me more most my new no not now of off on one only or other our out over people said say see she should
so some than that the their them then there these they this those time to too up us use very want was way we well were
what when where which while who why will with would yes you your
"""

FUNCTION_WORDS = frozenset(f"{_BOKMAAL} {_NYNORSK} {_ENGLISH}".split())
