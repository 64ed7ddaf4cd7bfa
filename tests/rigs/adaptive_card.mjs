// Reads an Adaptive Card with Microsoft's own library (https://www.npmjs.com/package/adaptivecards) and prints what that
// complains of, and the card as it understood it: what it does not know is not there.
import { AdaptiveCard, SerializationContext } from "adaptivecards";

const context = new SerializationContext();
const card = new AdaptiveCard();
card.parse(JSON.parse(process.argv[2]), context);
const complaints = [];
for (let index = 0; index < context.eventCount; index += 1) {
    complaints.push(context.getEventAt(index).message);
}
complaints.push(...card.validateProperties().validationEvents.map((event) => event.message));
process.stdout.write(JSON.stringify({ complaints, card: card.toJSON() }));
