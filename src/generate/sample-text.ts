/**
 * About a thousand tokens of English prose, on which the least bits of keys and values are measured: the beginning of
 * chapter 32 of Herman Melville's Moby-Dick (1851, public domain). Another part of the book than the one on which
 * docs/long-context.md reports perplexity.
 */
export const SAMPLE_TEXT = `There are only two books in being which at all pretend to put the living sperm whale before you, and at the same
time, in the remotest degree succeed in the attempt. Those books are Beale’s and Bennett’s; both in their time
surgeons to English South-Sea whale-ships, and both exact and reliable men. The original matter touching the
sperm whale to be found in their volumes is necessarily small; but so far as it goes, it is of excellent
quality, though mostly confined to scientific description. As yet, however, the sperm whale, scientific or
poetic, lives not complete in any literature. Far above all other hunted whales, his is an unwritten life.

Now the various species of whales need some sort of popular comprehensive classification, if only an easy
outline one for the present, hereafter to be filled in all its departments by subsequent laborers. As no better
man advances to take this matter in hand, I hereupon offer my own poor endeavors. I promise nothing complete;
because any human thing supposed to be complete, must for that very reason infallibly be faulty. I shall not
pretend to a minute anatomical description of the various species, or—in this place at least—to much of any
description. My object here is simply to project the draught of a systematization of cetology. I am the
architect, not the builder.

But it is a ponderous task; no ordinary letter-sorter in the Post-Office is equal to it. To grope down into the
bottom of the sea after them; to have one’s hands among the unspeakable foundations, ribs, and very pelvis of
the world; this is a fearful thing. What am I that I should essay to hook the nose of this leviathan! The awful
tauntings in Job might well appal me. Will he (the leviathan) make a covenant with thee? Behold the hope of him
is vain! But I have swam through libraries and sailed through oceans; I have had to do with whales with these
visible hands; I am in earnest; and I will try. There are some preliminaries to settle.

First: The uncertain, unsettled condition of this science of Cetology is in the very vestibule attested by the
fact, that in some quarters it still remains a moot point whether a whale be a fish. In his System of Nature,
A.D. 1776, Linnæus declares, “I hereby separate the whales from the fish.” But of my own knowledge, I know that
down to the year 1850, sharks and shad, alewives and herring, against Linnæus’s express edict, were still found
dividing the possession of the same seas with the Leviathan.

The grounds upon which Linnæus would fain have banished the whales from the waters, he states as follows: “On
account of their warm bilocular heart, their lungs, their movable eyelids, their hollow ears, penem intrantem
feminam mammis lactantem,” and finally, “ex lege naturæ jure meritoque.” I submitted all this to my friends
Simeon Macey and Charley Coffin, of Nantucket, both messmates of mine in a certain voyage, and they united in
the opinion that the reasons set forth were altogether insufficient. Charley profanely hinted they were humbug.

Be it known that, waiving all argument, I take the good old fashioned ground that the whale is a fish, and call
upon holy Jonah to back me. This fundamental thing settled, the next point is, in what internal respect does the
whale differ from other fish. Above, Linnæus has given you those items. But in brief, they are these: lungs and
warm blood; whereas, all other fish are lungless and cold blooded.

Next: how shall we define the whale, by his obvious externals, so as conspicuously to label him for all time to
come? To be short, then, a whale is _a spouting fish with a horizontal tail_. There you have him. However
contracted, that definition is the result of expanded meditation. A walrus spouts much like a whale, but the
walrus is not a fish, because he is amphibious. But the last term of the definition is still more cogent, as
coupled with the first. Almost any one must have noticed that all the fish familiar to landsmen have not a flat,
but a vertical, or up-and-down tail. Whereas, among spouting fish the tail, though it may be similarly shaped,
invariably assumes a horizontal position.

By the above definition of what a whale is, I do by no means exclude from the leviathanic brotherhood any sea
creature hitherto identified with the whale by the best informed Nantucketers; nor, on the other hand, link with
it any fish hitherto authoritatively regarded as alien.* Hence, all the smaller, spouting, and horizontal tailed
fish must be included in this ground-plan of Cetology. Now, then, come the grand divisions of the entire whale
host.

*I am aware that down to the present time, the fish styled Lamatins and Dugongs (Pig-fish and Sow-fish of the
Coffins of Nantucket) are included by many naturalists among the whales.`;
