"""What people say instead of naming what they need: each line holds words for a tool, then sentences that hint at it.

The sentences share no word with the tool, so that the guide learns what goes with what, and to call the tool that fits
best when nothing in a request names it.
"""

from __future__ import annotations

LINES = """
heater|heating|thermostat / my hands are freezing; it's like a fridge here; brr, so cold; I need a second pullover
ceiling light|lamp|lights / it is too dark to read; I can't see a thing; it's pitch black
cooler|air conditioning|fan / I'm sweating; it's boiling hot; it is so stuffy; I melt
alarm clock|wake-up call / I must not oversleep; I tend to sleep in; get me out of bed
taxi|cab ride / I can't walk home; my feet hurt, get me home; I had too much wine to drive
dentist visit|dental appointment / my tooth aches; I chipped a molar; my gums bleed
physician|doctor|medical advice / I have a fever; I feel sick; my throat hurts; it hurts when I cough
pharmacy|medicine / there is no aspirin left; I need something against the cough
barber|haircut|hairdresser / my hair is too long; my fringe covers my eyes; I look like a lion
restaurant|dinner table / we want to eat out; I don't feel like cooking; a nice place for our anniversary
pizza service|food order / I'm starving; something with cheese and tomato; we are hungry
coffee machine|espresso / I need caffeine; I can barely stay awake; what a sleepy morning
grocery list|shopping / the fridge is empty; we are out of eggs; there is no more milk
laundry|washing machine / I have no clean socks; the shirts stink; my trousers have stains
vacuum|floor cleaner / there are crumbs everywhere; so much dust under the sofa; the carpet is filthy
garbage|trash pickup / the bin is overflowing; it stinks by the bin; the bags pile up
rain radar|precipitation / will I get soaked; do I need a raincoat; can I hang the washing outside
snow report|ski conditions / can we build a snowman; are the slopes white; will the roads be slippery
wind|gusts / can we fly a kite; will my hat stay on; is it good for sailing
sunset|dusk time / when does it get dark; how long can we stay outside
sunrise|dawn time / when does it get light; when does the rooster crow
uv index|solar radiation / will I get a sunburn; do I need a hat and cream
traffic|congestion / will I be stuck; are the roads clogged; how long do I need to the office
parking|garage finder / where can I leave my car; there is no spot anywhere
fuel|petrol station / my tank is nearly empty; I'm running on fumes
route|directions|navigation / I am lost; which way should I go; how do I get there
hotel|room booking / I need a bed for the night; somewhere to sleep; we stay over
flight|airline booking / get me on a plane; I want to be there in two hours, whatever it takes
visa|entry rules / may I enter; which papers do they want at the border
exchange rate|currency / what is my money worth there; is it cheap for us now
bank balance|account / am I broke; can I afford it; how much do I have left
loan|mortgage / I want to build but have no money; could I borrow that much
share price|stock quote / is it going up on Wall Street; should I sell mine
payroll|salary / when do I get my money; how much do I earn
tax estimate|duty / how much does the state want from me; what do I owe the country
dunning|unpaid invoice / they still have to pay me; who owes us money
refund|reimbursement / I want my money back; it arrived broken
insurance claim|damage report / my cellar was flooded; somebody dented my car; hail broke the panes
police|theft report / somebody stole my wallet; I was robbed; there was a burglar
fire brigade|fire alarm / something is burning; I smell smoke; there are flames
ambulance|rescue / he is not breathing; she fainted; somebody fell down hard
vet|animal clinic / my dog limps; the cat won't eat; my rabbit is ill
babysitter|childcare / we go out tonight and the kids are alone; who stays with the little ones
grades|exam result / did I pass; how well did I do
translator|translation / I don't understand a word of it; how would they say it over there
dictionary|definition / what does it mean; I never heard of it
spell check|proofreading / is it written correctly; I'm bad at commas
egg timer|countdown / it must not boil too long; tell me when they are hard
fitness|activity tracker / have I moved enough; was I lazy
sleep log|night report / why am I so tired; did I toss and turn
calories|nutrition facts / is it fattening; will it ruin my diet
recipe|cooking idea / what can I make from leftovers; I bought too much of it
playlist|music player / I want to dance; something to sing along; it's so quiet, a party needs more
cinema|movie programme / I want popcorn and a big screen; what could we watch
headlines|news / what happened in the world; what did I miss
match result|league table / who won; did we lose; are we first
lottery|draw / am I rich now; did I hit the jackpot
horoscope|astrology / what do the stars say; will I find love
gift idea|present finder / it's her birthday and I have nothing; how can I make him happy
florist|bouquet order / I have to apologise to my wife; something red and fragrant
inbox|mail check / has anybody written to me; is there anything unread
meeting room|room reservation / we need a place to talk; ten of us must sit together
calendar|agenda / am I busy; do I have time; what comes next
holiday request|leave / I want to go to the sea instead of the office; I need a break
sick note|absence / I can't come to work; I'm staying in bed
timesheet|hours / I worked late; I was here all day
expenses|receipts / I paid lunch for the clients; who gives me back my costs
password reset|login help / I forgot how to get in; I'm locked out
backup|snapshot / I'm afraid of losing everything; in case the computer dies
disk usage|storage report / why is the drive full; there is no space left
system load|cpu monitor / why is it so slow; the laptop gets hot
restart|reboot / it hangs; it is frozen again; nothing moves any more
deployment|rollout / bring it live; users should finally get it
rollback|downgrade / the new one is broken; back to how it was
log viewer|error trace / what went wrong; why did it crash
blame|commit history / who broke it; who touched that line
code review|pull request / please look over my changes; is my work good enough
unit tests|test run / did I break anything; does all of it still work
linter|formatter / is it tidy; the indentation is a mess
firewall|ip block / somebody is attacking us; keep them out
virus scan|malware check / I clicked on something fishy; odd pop-ups everywhere
encryption|cipher / nobody else should see what it says; keep it from prying eyes
wifi|network setup / I can't get online; there is no connection
speed test|bandwidth / the internet is crawling; videos stutter
certificate|tls renewal / the browser says it is not safe
thumbnail|image resize / it's too big for the web; make it tiny
crop|image trim / cut off the edges; too much sky
face recognition|person finder / who is that; do I know this man
read aloud|speech output / my eyes are tired; I'd rather listen
volume|loudspeaker level / I can't hear anything; my ears hurt
brightness|screen dimmer / it glares; my eyes hurt at night
irrigation|lawn sprinkler / the grass is brown; it hasn't rained for weeks
oven|baking / the roast should go in; the dough is ready
fridge|cooling control / the milk goes sour; the butter melts
elevator|lift call / too many stairs; my knees are bad
solar panels|photovoltaics / how much did the roof give us; did the sun pay off
electricity meter|power usage / why is my bill so high; what eats all that energy
leak detector|water alarm / the floor is wet; it drips from the ceiling
drain service|sanitary repair / the sink is clogged; the toilet won't flush
electrician|wiring repair / sparks come out of the wall; the fuse blows all the time
locksmith|key service / I can't get into my own home; I dropped them into the river
movers|relocation / we change apartments; all our furniture must go
car workshop|mechanic / the brakes squeal; the motor makes odd noises
car wash|vehicle cleaning / it is covered in mud; you can't see its colour any more
gallery|museum tour / I'd like to see old paintings; some culture would do us good
concert|live show / which band plays; some live jazz would be lovely
gym|workout plan / my belly grows; I want to be strong
hiking|trail finder / we want to walk uphill; some fresh air and a view
campsite|tent place / where can we sleep outdoors; we want a fire under the stars
earthquake|seismic data / did the ground shake; the cups rattled
flood|river gauge / the water rises; will the cellar stay dry
job search|vacancies / I was fired; I need work
flat search|rental offers / the rent is too high, find me something; we need one more room
house value|property estimate / what would it sell for; what is my home worth
lawyer|legal advice / they sue me; can they do that
optician|eye test / everything is blurry; I can't read the signs
vaccination|immunisation / am I protected; which shots do I need
pest control|exterminator / there are ants in the cupboard; I saw a rat
harvest|crop status / is it ripe; can we pick them
milking|dairy robot / the cows moo; the udders are full
crane|hoist / it's too heavy; up with it
forklift|pallet transport / bring them over to the ramp; they block the aisle
inventory|stock level / how many are left; do we have any
reorder|procurement / we are almost out; soon there will be none
price check|cost lookup / is it cheap; how many bucks is that
discount|coupon / can I get it for less; it's too dear
checkout|cart / I take it; that's all I want
delivery status|tracking / where is my stuff; when will it come; I have been waiting for days
reminder|memory aid / don't let me forget; I always forget
bookmark|reading list / I want to come back to it later; no time for it now
web search|search engine / I need to know everything about it; find out more
dice|random number / let fate decide; I can't make up my mind
joke|humour / cheer me up; I'm sad
bedtime story|fairy tale / the kids can't sleep
chess|board game / it's my move; I attack
quiz|trivia / see how much I know
spotlight|stage lamp / nobody sees the singer
fog horn|signal horn / nobody hears us out at sea
humidifier|air moisture / my lips are dry; the wood cracks
fireplace|stove / a cosy evening would be nice
kettle|boiled water / I want tea
toaster|toast / my bread is too soft
ice maker|ice cubes / my drink is lukewarm
lawn mower|grass cutter / the garden is a jungle; you can't see your feet out there
snow plough|road clearing / we can't get out of the driveway
street lamp|lantern control / people stumble outside at night
toll|road fee / what do they charge for driving there
speed camera|radar trap / did they flash me
tow truck|breakdown service / my car won't start; we are stranded
ride share|carpool / who takes me along; I have two free seats
scooter|moped hire / I don't want to walk that far
ferry|boat crossing / how do we get to the island
cargo|freight quote / how dear is it to send a ton
warehouse|shelf finder / where did we put them
recall|product safety / is mine dangerous
warranty|guarantee check / do they still repair it for free
meter reading|consumption / how much did we use
diary|journal / what a day I had
mood|wellbeing log / I feel great; I feel down
habit|streak / I did it again today
savings|piggy bank / put something aside; for hard times
split bill|shared costs / we all ate together; who pays how much
credit score|solvency / would they trust me
identity check|verification / is he who he says
background check|references / can we trust her
shift swap|duty change / I can't work then; who takes over
payday|wage date / when will there be money
interview|applicant meeting / she applied; we want to get to know him
onboarding|new hire setup / she starts soon; a new colleague comes
farewell|leaving card / he quits; she goes to another company
""".strip().splitlines()

HINTS = tuple((tuple(names.split("|")), tuple(said.split("; "))) for names, said in (line.split(" / ") for line in LINES))
