"""Realistic tools for training: what they are called, what they take, and how people ask for them.

Names are words, joined later in the style of some API. `$0`, `$1` in a request stand for the values of the parameters;
a parameter that a request does not mention is left out of the call.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """Possible names, kind of value (see values.py, or `enum:a,b`) and description."""

    names: str
    kind: str
    doc: str


@dataclass(frozen=True)
class Domain:
    """A tool with many names and the requests that need it."""

    names: str
    doc: str
    parameters: tuple[Parameter, ...]
    asks: tuple[str, ...]


def domain(names: str, doc: str, *rest: str) -> Domain:
    """`rest`: parameters written `names / kind / description`, then requests."""
    parameters = tuple(Parameter(*(p.strip() for p in r.split(" / "))) for r in rest if " / " in r)
    return Domain(names, doc, parameters, tuple(r for r in rest if " / " not in r))


DOMAINS = (
    domain("get weather|weather|current weather|weather lookup|fetch weather|weather report", "Get the current weather for a city",
           "city|location|place|town|city name / city / Name of the city", "unit|units|scale / enum:celsius,fahrenheit / Unit of temperature",
           "{what's|what is|how is|how's} the weather {like |}in $0{| today| right now| now}", "{is it|will it be} {raining|sunny|cold|warm|windy} in $0",
           "weather {in|for} $0{| please}", "temperature in $0 in $1", "how {cold|warm|hot} is it in $0 in $1", "{do I need|should I take} an umbrella in $0",
           "{tell me|show me|give me} the weather {in|of|for} $0", "what's it like outside in $0"),
    domain("get forecast|weather forecast|forecast", "Weather forecast for the next days", "city|location|place|where / city / The place",
           "days|num days|count|day count / small / Number of days", "{forecast|weather forecast} for $0 for {the next |}$1 days",
           "what will the weather be in $0 {over|for|in} the next $1 days", "{give|show} me a $1 day forecast for $0", "$1-day forecast for $0"),
    domain("send email|send mail|email|mail send|compose email", "Send an email", "to|recipient|address|email / email / Address of the recipient",
           "subject|title|topic / phrase / Subject line", "body|text|message|content / phrase / Text of the mail",
           "{send|write} {an email|a mail} to $0 with {the |}subject \"$1\" and {the |}{text|body} \"$2\"", "{email|mail} $0: \"$2\"{|, subject \"$1\"}",
           "{send|write} {an email|a mail|a message} to $0 saying \"$2\"", "{send|write} $0 {an email|a mail} with subject '$1' and body '$2'"),
    domain("create event|add event|schedule meeting|new appointment|book meeting|add calendar entry", "Create a calendar event",
           "title|name|event|summary / phrase / Title of the event", "date|day|on / date / Day of the event", "time|start|start time|at / time / Start time",
           "{create|add|schedule|book|put} {an event|a meeting|an appointment} {called|named|titled} \"$0\" on $1 at $2", "{schedule|plan} \"$0\" for $1 at $2",
           "put \"$0\" {into|in|on} my calendar on $1 at $2", "{add|create} \"$0\" on $1 {to|in} {my|the} calendar", "I have \"$0\" on $1 at $2, {add it|note it|put it in the calendar}"),
    domain("list events|get calendar|show agenda|calendar events", "List the events of a day", "date|day|on|when / date / The day",
           "what {is|do I have} {on my calendar|planned|scheduled} {on|for} $0", "{show|list|give me} my {events|appointments|meetings|agenda} {for|on|of} $0",
           "am I {busy|free} on $0"),
    domain("set reminder|create reminder|remind me|add reminder", "Set a reminder", "text|message|what|note / phrase / What to remember",
           "time|when|at / time / When to remind", "remind me at $1 {to|about} \"$0\"", "set a reminder for $1: \"$0\"", "at $1 remind me: \"$0\"",
           "{create|add} a reminder \"$0\" at $1"),
    domain("set timer|start timer|countdown", "Start a timer", "minutes|duration|length|duration minutes / small / Length in minutes",
           "{set|start} a timer {for|of} $0 minutes", "wake me in $0 minutes", "$0 minute timer", "tell me when $0 minutes are over", "count down $0 minutes"),
    domain("set alarm|create alarm|wake up", "Set an alarm", "time|at|when|wake time / time / Time of the alarm", "{set|create} an alarm {for|at} $0", "wake me {up |}at $0", "alarm at $0"),
    domain("read file|open file|cat|get file|file read|load file", "Read a file", "path|file|filename|file path|name / path / Path of the file",
           "{read|open|show|print|show me|cat|display} {the file |}$0", "what {is in|does|are the contents of} {the file |}$0{| say| contain|}", "{contents|content} of $0", "let me see $0"),
    domain("write file|save file|create file|put file|file write", "Write text to a file", "path|file|filename|target|file path / path / Path of the file",
           "content|text|data|body / phrase / Text to write", "{write|save|put} \"$1\" {to|into|in} {the file |}$0", "create {the file |a file |}$0 with {the |}{content|text} \"$1\"",
           "make a file {called|named} $0 {containing|that says|with} \"$1\""),
    domain("delete file|remove file|rm|unlink file", "Delete a file", "path|file|filename|target|file path / path / Path of the file",
           "{delete|remove|erase|get rid of} {the file |}$0", "rm $0", "I don't need $0 {any more|anymore}, {delete|remove} it", "please throw away $0"),
    domain("list files|list directory|ls|dir|browse folder|list folder", "List the files of a folder", "path|folder|directory|dir / folder / The folder",
           "recursive|deep|all levels|subfolders / bool:including subfolders,recursively,with all subfolders;not recursively,without subfolders / Also list subfolders",
           "{list|show} {the |all |}files in $0", "what {files are|is} in $0", "ls $0", "{list|show} {everything|the files|all files} in $0 $1", "which files does $0 {contain|have}"),
    domain("move file|rename file|mv|file move", "Move or rename a file", "source|from|src|old|from path / path / Old path", "target|to|destination|dst|new|to path / path / New path",
           "{move|rename} $0 to $1", "mv $0 $1", "{put|move} $0 {at|into} $1", "change the name of $0 to $1"),
    domain("copy file|duplicate file|cp", "Copy a file", "source|from|src|original / path / File to copy", "target|to|destination|dst|copy / path / Where to", "copy $0 to $1", "{make|create} a copy of $0 at $1", "duplicate $0 as $1", "cp $0 $1"),
    domain("search files|grep|find text|search in files|file search", "Search for text in files", "pattern|query|text|search|needle / word / Text to find", "path|folder|directory|root / folder / Where to search",
           "{search|look} for \"$0\" in $1", "{find|grep} \"$0\" in {the files of |}$1", "which files in $1 contain \"$0\"", "grep $0 $1", "where in $1 is \"$0\" used"),
    domain("run command|execute|shell|run shell|exec", "Run a shell command", "command|cmd|line / enum:ls -la,git status,pwd,df -h,make test,cargo build,uname -a,whoami,date,ps aux,npm install,pytest -q / Command line",
           "{run|execute} `$0`", "{run|execute} the command \"$0\"", "run $0{| for me| please}", "what does `$0` {print|say|show}"),
    domain("add|add numbers|sum|plus|addition", "Add two numbers", "a|x|first|left|num1 / integer / First number", "b|y|second|right|num2 / integer / Second number",
           "{what is|what's|compute|calculate} $0 + $1", "add $0 {and|to} $1", "{what is|compute} the sum of $0 and $1", "$0 plus $1", "how much is $0 and $1"),
    domain("subtract|minus|difference", "Subtract two numbers", "a|x|first|left|minuend / integer / First number", "b|y|second|right|subtrahend / integer / Second number",
           "{what is|what's|compute|calculate} $0 - $1", "$0 minus $1", "{the |}difference {between|of} $0 and $1", "{what is|calculate} $0 minus $1"),
    domain("multiply|times|product|mul", "Multiply two numbers", "a|x|first|left|factor1 / number / First factor", "b|y|second|right|factor2 / number / Second factor",
           "{what is|what's|compute|calculate} $0 {*|times|x} $1", "multiply $0 {by|with|and} $1", "{the |}product of $0 and $1", "$0 times $1"),
    domain("divide|division|quotient", "Divide two numbers", "a|x|numerator|dividend / number / Dividend", "b|y|denominator|divisor / number / Divisor",
           "{what is|what's|compute|calculate} $0 {/|divided by|over} $1", "divide $0 by $1", "$0 divided by $1"),
    domain("calculate|calculator|evaluate|eval expression|math", "Evaluate an arithmetic expression", "expression|formula|input|expr / expression / The expression",
           "{what is|what's|calculate|compute|evaluate|work out|solve} $0", "how much is $0", "$0 = ?", "result of $0"),
    domain("echo|repeat text|say|print text", "Return the text unchanged", "text|message|value|input|msg / phrase / The text",
           "echo \"$0\"", "{say|repeat|echo} \"$0\"", "{use the echo tool|let the tool} {with|say|on} \"$0\"", "echo $0", "{return|send back|print} \"$0\""),
    domain("translate|translate text|translation", "Translate a text", "text|input|sentence|source text / phrase / Text to translate", "language|target|to|target language / language / Target language",
           "translate \"$0\" {to|into} $1", "{what is|what's|how do you say} \"$0\" in $1", "say \"$0\" in $1", "\"$0\" in $1 please", "put \"$0\" into $1"),
    domain("convert currency|exchange|currency conversion|exchange rate", "Convert an amount of money", "amount|value|sum / amount / Amount", "from|source|from currency|base / currency / Currency to convert from", "to|target|to currency|quote / currency / Currency to convert to",
           "{convert|change|exchange} $0 $1 {to|into} $2", "how {much|many $2} is $0 $1 in $2", "$0 $1 in $2", "what are $0 $1 worth in $2"),
    domain("convert units|unit conversion|convert", "Convert between units", "value|amount|quantity / number / The value", "from|from unit|source unit / enum:km,miles,kg,pounds,meters,feet,liters,gallons,inches,cm,celsius,fahrenheit / Unit", "to|to unit|target unit / enum:km,miles,kg,pounds,meters,feet,liters,gallons,inches,cm,celsius,fahrenheit / Unit wanted",
           "convert $0 $1 {to|into} $2", "{what is|how much is} $0 $1 in $2", "how many $2 are $0 $1", "$0 $1 to $2"),
    domain("web search|search web|search|google|search internet|find online", "Search the web", "query|q|terms|keywords|search terms / phrase / Search terms", "limit|count|max results|n|top k / small / Number of results",
           "{search|look|google} {the web |online |}for \"$0\"", "{find|look up} \"$0\" {online|on the web|on the internet}", "{search|google} $0", "{search|look} {the web |}for \"$0\" and {show|give me|return} $1 results", "{get|find} $1 results {for|about} \"$0\""),
    domain("fetch url|get page|download page|open url|http get|browse", "Fetch a web page", "url|address|link|page / url / Address", "{fetch|get|open|download|load|read|visit} $0", "what {is on|does} $0{| say|}", "{summarise|show me} {the page |}$0", "go to $0"),
    domain("search models|find models|model search", "Search models on the hub", "query|name|q|text / enum:qwen3 4b,llama 8b,mistral,coder,qwen,small models,embedding,vision,tiny llama,math / Words of the name", "limit|count|max / small / How many", "{find|search|look for} {models|a model} {like|named|called|matching|for} \"$0\"", "{search|find} $1 models for \"$0\"", "which models match \"$0\"", "search the hub for $0", "find $0 models"),
    domain("play music|play song|play|start music|play track", "Play music", "song|title|track|name / phrase / Title", "artist|by|singer / person / Artist",
           "play \"$0\"{| by $1}", "{put on|start|I want to hear} \"$0\"{| by $1}", "play something by $1", "play the song \"$0\""),
    domain("set volume|volume|change volume|audio volume", "Set the volume", "level|volume|value|percent / percent / Volume from 0 to 100", "set {the |}volume to $0{|%| percent}", "{turn|put} the volume {to|at} $0", "volume $0", "make it $0 percent loud"),
    domain("set light|light|switch light|control light|lamp", "Switch a light", "room|location|where|lamp / enum:kitchen,bedroom,living room,hall,bathroom,office,garage,garden / Room", "on|state|enabled|power / bool:on;off / On or off",
           "{turn|switch} $1 the {light|lights|lamp} in the $0", "{turn|switch} the $0 {light|lights|lamp} $1", "$0 {light|lights} $1", "{light|lights} $1 in the $0"),
    domain("set brightness|dim|dim light|brightness", "Set the brightness of a lamp", "room|location|lamp|where / enum:kitchen,bedroom,living room,hall,bathroom,office,garage / Room", "level|brightness|value / percent / From 0 to 100", "{dim|set} the {light|lights|lamp} in the $0 to $1{|%| percent}", "$0 {light|lights} to $1{|%}", "set the brightness in the $0 to $1"),
    domain("set temperature|thermostat|set thermostat|heating", "Set the thermostat", "temperature|degrees|value|target temperature / small / Degrees", "room|zone|where / enum:kitchen,bedroom,living room,hall,bathroom,office / Room",
           "set the {temperature|heating|thermostat} in the $1 to $0{| degrees}", "{heat|warm} the $1 to $0 degrees", "make it $0 degrees in the $1", "set the {thermostat|heating} to $0"),
    domain("lock door|door lock|set lock", "Lock or unlock a door", "door|name|which / enum:front door,back door,garage,cellar,garden gate / The door", "locked|lock|state / bool:lock,please lock;unlock,please unlock / Locked or not", "$1 the $0", "can you $1 the $0"),
    domain("create task|add task|new todo|add todo|create todo", "Add a task to the list", "title|task|text|name|todo / phrase / The task", "priority|importance|level / enum:low,medium,high,urgent / Priority",
           "add {a task|a todo}: \"$0\"", "{add|put} \"$0\" {to|on} my {list|tasks|to-do list|todos}", "{create|make|add} a $1 priority task \"$0\"", "new task \"$0\" with {priority $1|$1 priority}", "I have to \"$0\", {add it to|put it on} my list"),
    domain("complete task|finish task|mark done|close task", "Mark a task as done", "id|task id|number|task / integer / Number of the task", "{mark|set} task $0 as {done|finished|complete}", "task $0 is {done|finished}", "{finish|complete|close} task {number |}$0", "I have done task $0"),
    domain("create note|save note|note|add note|take note", "Save a note", "title|name|heading / phrase / Title", "text|content|body|note / phrase / Text", "{save|make|create|take} a note {called|titled|named} \"$0\" {with the text|saying|that says} \"$1\"", "note: \"$1\", title \"$0\"", "{write down|note} \"$1\" {under|as} \"$0\""),
    domain("get time|current time|time in|clock|world clock", "Current time in a place", "city|place|location|where|timezone / city / The place", "what time is it in $0", "{tell me|what's} the {current |}time in $0", "time in $0{| now| please}", "how late is it in $0"),
    domain("get user|find user|lookup user|user info|get customer", "Look up a user by id", "id|user id|uid|customer id / integer / Id of the user", "{show|get|find|look up|fetch} {the |}{user|customer} {number |with id |}$0", "who is {user|customer} $0", "{details|data|info} {of|about|for} {user|customer} $0"),
    domain("create user|add user|register user|new account", "Create a user", "name|user name|full name|username / person / Name", "email|mail|address / email / Email address", "age|years / small / Age in years", "admin|is admin|administrator / bool:as an administrator,with admin rights;without admin rights,not as an administrator / Administrator or not",
           "{create|add|register} {a|the} user {named |called |}$0 with {the |}{email|address} $1", "add $0 ($1) as a user", "{create|register} {a user|an account} {for|called} $0, {email|mail} $1, {age|aged} $2", "register $0 with $1, $3", "new user: $0, $1"),
    domain("delete user|remove user|drop account", "Delete a user", "id|user id|uid / integer / Id", "{delete|remove} user {number |}$0", "user $0 {left|is gone|wants out}, {remove|delete} {them|the account}", "{drop|remove} the account $0"),
    domain("get stock price|stock|quote|stock quote|share price", "Price of a share", "symbol|ticker|stock / enum:AAPL,MSFT,GOOG,TSLA,AMZN,NVDA,IBM,SAP,META,NFLX,INTC,AMD / Ticker symbol", "{what is|what's} the {price|stock price|share price} of $0", "{how is|how's} $0 {doing|trading}", "{price|quote} {of|for} $0", "$0 {stock|share} price"),
    domain("book flight|find flights|search flights|flights", "Search flights", "from|origin|departure|from city / city / Departure", "to|destination|arrival|to city / city / Destination", "date|day|departure date / date / Day",
           "{find|search|book|show me} {flights|a flight} from $0 to $1{| on $2}", "{I want|I need} to fly from $0 to $1 on $2", "flights $0 to $1 on $2", "fly me from $0 to $1"),
    domain("book hotel|find hotel|hotel search|reserve room", "Reserve a hotel room", "city|location|place / city / City", "nights|duration|num nights / small / Nights", "guests|people|persons / small / Guests",
           "{find|book|reserve} {a hotel|a room|a hotel room} in $0 for $1 nights{| and $2 people| for $2 guests}", "I need a {room|hotel} in $0 for $1 nights", "hotel in $0, $1 nights, $2 guests"),
    domain("book table|reserve table|restaurant booking|make reservation", "Reserve a table", "restaurant|name|place / phrase / Restaurant", "people|guests|party size|persons / small / Guests", "time|at / time / Time",
           "{book|reserve} a table for $1 at \"$0\" at $2", "table for $1 at \"$0\", $2", "reserve \"$0\" for $1 people at $2"),
    domain("get route|directions|navigate|route planner", "Find a route", "from|start|origin / city / Start", "to|end|destination|goal / city / Goal", "mode|by|transport / enum:car,bike,train,bus,foot / Means of transport",
           "{how do I get|directions|route|way} from $0 to $1{| by $2}", "navigate from $0 to $1", "{take|bring} me from $0 to $1 by $2", "how far is it from $0 to $1"),
    domain("get distance|distance|distance between", "Distance between two places", "a|from|start|first / city / First place", "b|to|end|second / city / Second place", "how far {is it from|is} $0 {to|from} $1", "distance {between|from} $0 {and|to} $1"),
    domain("order pizza|order food|place order|order", "Order food", "item|dish|product|food / enum:margherita,funghi,salami,hawaii,burger,sushi,salad,lasagne,burrito,ramen / What", "quantity|count|amount|number / small / How many", "address|deliver to|street / phrase / Address",
           "order $1 $0{| to \"$2\"}", "{I'd like|I want|get me|bring me} $1 $0{| please}", "$1 times $0, {deliver|send} to \"$2\"", "please order $1 $0"),
    domain("add to cart|cart add|put in basket|add item", "Put a product into the cart", "product|item|sku|product id / code / Product", "quantity|count|qty|amount / small / How many", "{add|put} $1 {of |pieces of |}$0 {to|in|into} {my|the} {cart|basket}", "{I want|I'd like} $1 {of |}$0", "put $0 in my cart, $1 times"),
    domain("track order|order status|track package|parcel status", "Status of an order", "id|order id|number|tracking number / code / Number", "where is {my |}{order|package|parcel} $0", "{status|state} of {order|package} $0", "track {order|package|} $0", "has {order|parcel} $0 {been sent|arrived|shipped}"),
    domain("send message|message|text|send sms|chat message|notify", "Send a message to somebody", "to|recipient|person|contact|user / person / Who", "text|message|content|body / phrase / Text", "{tell|text|message} $0: \"$1\"", "{send|write} $0 {a message|a text|an sms}: \"$1\"", "{tell|text|message} $0 \"$1\"", "send \"$1\" to $0", "let $0 know: \"$1\""),
    domain("call contact|phone|dial|make call", "Call somebody", "name|contact|person|who / person / Who", "{call|phone|ring|dial} $0{| please| now}", "get $0 on the phone", "I want to {talk|speak} to $0 on the phone", "give $0 a call"),
    domain("add contact|save contact|new contact", "Save a contact", "name|contact|person / person / Name", "phone|number|phone number / integer / Phone number", "{save|add} $0 {as a contact |}with {the |}number $1", "{the number of $0 is|$0 has the number} $1, save it", "new contact $0, $1"),
    domain("query database|sql|run query|db query", "Run an SQL query", "query|sql|statement / enum:SELECT * FROM users,SELECT COUNT(*) FROM orders,SELECT name FROM items,DELETE FROM logs,SHOW TABLES,SELECT 1 / SQL", "{run|execute} {the query |}`$0`", "{query|ask} the database: $0", "what does `$0` {return|give}"),
    domain("get record|read record|fetch row|lookup record", "Read a record of a table", "table|collection|from / enum:users,orders,items,customers,invoices,products,events / Table", "id|key|record id|row / integer / Id", "{get|show|read|fetch} {record|row|entry|number} $1 {of|from|in} {the table |}$0", "$0 {record|row|number} $1", "look up $1 in $0"),
    domain("create issue|open issue|new ticket|create ticket|report bug", "Open an issue", "title|summary|name / phrase / Title", "priority|severity|level / enum:low,medium,high,critical / Priority", "project|repo|repository / code / Project", "{open|create|file} {an issue|a ticket} \"$0\"{| in $2| with $1 priority| in $2 with priority $1}", "{report|file} a $1 bug: \"$0\"", "new ticket in $2: \"$0\", {priority|severity} $1"),
    domain("close issue|resolve ticket|close ticket", "Close an issue", "id|number|issue|ticket id / integer / Number", "{close|resolve} {issue|ticket} {number |#|}$0", "{issue|ticket} $0 is {done|fixed|solved}", "we fixed {issue|ticket} $0, close it"),
    domain("git commit|commit|commit changes", "Commit the changes", "message|msg|text|commit message / phrase / Message", "commit {the changes |everything |}with {the |}message \"$0\"", "git commit -m \"$0\"", "{commit|save my changes}: \"$0\"", "make a commit saying \"$0\""),
    domain("create branch|git branch|new branch", "Create a branch", "name|branch|branch name / code / Name", "{create|make|start} {a|the} {new |}branch {called |named |}$0", "new branch $0", "branch off as $0"),
    domain("generate password|password|random password|make password", "Make a random password", "length|size|characters|chars / small / Length", "symbols|special|with symbols|include symbols / bool:with symbols,including special characters;without symbols,with no special characters / Use special characters", "{generate|make|create|give me} a {password|random password} {of|with} $0 {characters|letters}{| $1}", "I need a {new |}password, $0 characters, $1", "password with $0 characters $1"),
    domain("random number|roll dice|random|pick number", "Random number in a range", "min|low|from|lower / small / Lowest", "max|high|to|upper / integer / Highest", "{give me|pick|draw|choose} a random number {between|from} $0 {and|to} $1", "random number $0 to $1", "roll between $0 and $1"),
    domain("get definition|define|dictionary|define word|lookup word", "Look up a word", "word|term|entry / word / The word", "{define|look up} {the word |}\"$0\"", "what does {the word |}\"$0\" mean", "{meaning|definition} of {the word |}\"$0\"", "look \"$0\" up in the dictionary"),
    domain("get news|news|headlines|latest news", "Latest news", "topic|subject|about|category / enum:sports,politics,science,business,technology,health,culture,music / Topic", "count|limit|n|max / small / How many", "{what's|show me|give me|get} {the |}{latest |}{news|headlines} {about|on|in} $0", "$0 news", "{give|show} me $1 {headlines|news items|articles} {about|on} $0", "any news {about|on|in} $0"),
    domain("set colour|set color|change color|led color", "Set the colour of something", "colour|color|value / colour / Colour", "device|target|object|lamp / word / What", "{make|paint|turn} the $1 $0", "{set|change} the colour of the $1 to $0", "$1 in $0 please", "I want the $1 to be $0"),
    domain("resize image|scale image|resize", "Resize an image", "file|path|image|input / path / Image", "width|w|x / integer / Width", "height|h|y / integer / Height", "{resize|scale} $0 to $1 {x|by} $2", "make $0 $1 wide and $2 high", "{resize|scale} $0 to $1 pixels wide and $2 pixels high"),
    domain("log meal|track calories|add food|food log", "Log a meal", "food|meal|item|dish / word / Food", "calories|kcal|energy / integer / Calories", "{I ate|I had|log} {a|some} $0 with $1 {calories|kcal}", "{log|add|track} $0, $1 {calories|kcal}", "$1 calories of $0"),
    domain("log workout|add training|track run|record activity", "Record a workout", "type|activity|sport|kind / enum:running,swimming,cycling,walking,rowing,yoga,climbing / Kind", "minutes|duration|time / small / Minutes", "{log|record|add|track} $1 minutes of $0", "I {did|was} $0 for $1 minutes", "$0, $1 minutes"),
    domain("get status|status|health|check status|system status", "Status of the system", "{what is|what's|show|get|check} the {system |}status", "{how is|how's} the system{| doing}", "is everything {running|ok|up}", "system status{| please}"),
    domain("list users|get users|all users|show users", "List all users", "{list|show|get|print} {all |the |all the |}users", "who {are the users|has an account}", "which users {exist|are there|do we have}"),
    domain("restart service|restart|reboot service|service restart", "Restart a service", "name|service|unit|service name / code / Service", "force|forced|hard / bool:by force,forcibly,with force;gently,without force / Force it", "restart {the service |}$0{| $1}", "{reboot|bounce} $0", "$0 hangs, {restart|reboot} it", "restart $0 $1"),
    domain("deploy|deploy app|release|roll out", "Deploy an application", "app|application|service|name / code / Application", "environment|env|stage|target / enum:production,staging,test,development / Environment", "{deploy|release|roll out|ship} $0 to $1", "{put|bring} $0 {on|into|to} $1", "$0 {should go|goes} to $1"),
    domain("tag items|add tags|set tags|label", "Set tags of an item", "id|item|item id|target / code / The item", "tags|labels|keywords / list / Tags", "{tag|label} $0 with $1", "{add|set} the {tags|labels} $1 {to|on|for} $0", "$0 gets the {tags|labels} $1"),
    domain("create group|make team|new channel|create room", "Create a group of people", "name|group|channel|title / word / Name", "members|users|people|participants / list / Members", "{create|make|open} {a|the} {group|channel|team} {called |named |}\"$0\" with $1", "new {group|team|channel} \"$0\": $1", "put $1 in {a group|a team} {called|named} \"$0\""),
    domain("average|mean|compute average|statistics", "Average of numbers", "numbers|values|data|list / numbers / The numbers", "{average|mean} of $0", "{what is|compute|calculate} the {average|mean} of $0", "average $0"),
    domain("sort list|sort|sort numbers|order list", "Sort a list", "items|values|list|numbers / numbers / What to sort", "descending|reverse|desc / bool:in descending order,from high to low,backwards;in ascending order,from low to high / Highest first", "sort $0{| $1}", "{order|arrange} $0 $1", "put $0 {in order|into order}"),
    domain("count words|word count|text statistics", "Count the words of a text", "text|input|string|content / phrase / The text", "how many words {are in|has|does} \"$0\"{| have|}", "count the words {in|of} \"$0\"", "word count of \"$0\""),
    domain("get holidays|holidays|public holidays", "Public holidays of a country", "country|land|code|country code / enum:Germany,France,Italy,Spain,Japan,Canada,Norway,Brazil,India,Kenya / Country", "year|in / enum_int:2023,2024,2025,2026,2027,2028 / Year", "{public holidays|holidays} in $0{| in $1| $1| for $1}", "{which|what} holidays {are there|are|does it have} in $0 in $1", "when are the {public |}holidays in $0"),
)
