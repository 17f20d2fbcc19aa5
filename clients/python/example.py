"""One conversation from its opening to its end, against a running daemon:

    python3 example.py <data directory> <host> <port> <workspace> <agent of the configuration> <group> [bincode|json]

An admin on the Unix socket makes a frontend's token. The frontend speaks for an agent and for a visitor.
"""

import asyncio
import pathlib
import sys
import uuid

from maitred_client import Client, Refused, derived_id, new_id


async def told(client, wanted, fits=lambda notice: True):
    """The next notice of this name that fits; others are passed over, as a frontend passes them to its users."""
    async with asyncio.timeout(20):
        while True:
            name, notice = await client.notice()
            if name == "GoAway":
                raise SystemExit(f"the daemon ends the connection: {notice['reason']}")
            if name == wanted and fits(notice):
                return notice


async def main(data_directory, host, port, workspace, agent_name, group, encoding="json"):
    data = pathlib.Path(data_directory)
    async with Client.connect_unix(data / "maitred.sock", workspace) as admin:
        assert admin.welcome["role"] == "admin", admin.welcome
        minted = await admin.ask("MintToken", role="frontend", ttl_seconds=3_600)
    agent, visitor, conversation = derived_id(workspace, agent_name), str(uuid.uuid4()), new_id()
    as_agent, as_visitor = {"agent": agent}, {"visitor": visitor}

    async with Client.connect(host, int(port), data / "cert.pem", minted["token"], encoding) as frontend:
        assert frontend.welcome["role"] == "frontend", frontend.welcome
        await frontend.ask("Attach", agent=agent)
        items = await told(frontend, "AgentItems")
        assert items["agent"] == agent and not items["more"], items
        await frontend.command("SetPresence", agent=agent, presence="online")

        opened = await frontend.ask(
            "Open",
            conversation=conversation,
            speaker=as_visitor,
            channel="web",
            target={"group": group},
            priority=5,
            variables=[{"name": "page", "value": "https://example.org/prices"}],
            message="Is anybody there?",
        )
        assert opened["conversation"] == conversation and not opened["existing"], opened
        offer = await told(frontend, "OfferMade", lambda offer: offer["conversation"] == conversation)
        assert 0 < offer["accept_within_ms"] and offer["variables"][0]["name"] == "page", offer

        accept = {"conversation": conversation, "speaker": as_agent, "offer": offer["offer"]}
        key = frontend.next_key()
        accepted = await frontend.ask("Accept", key=key, **accept)
        assert await frontend.ask("Accept", key=key, **accept) == accepted, "the same key, the same answer"
        await told(frontend, "VisitorEvent", lambda event: "agent_joined" in event["entry"]["change"])

        await frontend.command("Say", conversation=conversation, speaker=as_agent, body="Yes. ☕?")
        said = await told(frontend, "VisitorEvent", lambda event: "said" in event["entry"]["change"] and "agent" in event["entry"]["change"]["said"]["from"])
        assert said["entry"]["change"]["said"]["body"] == "Yes. ☕?", said
        await frontend.command("Say", conversation=conversation, speaker=as_visitor, body="Please.")
        await told(frontend, "StaffEvent", lambda event: event["entry"]["event"] == {"said": {"body": "Please."}})
        await frontend.command("Note", conversation=conversation, speaker=as_agent, body="wants coffee")

        await frontend.command("Close", conversation=conversation, speaker=as_agent)
        await told(frontend, "VisitorEvent", lambda event: event["entry"]["change"] == {"closed": {"by_me": False}})

        history = await frontend.ask("History", conversation=conversation, speaker=as_visitor, after=0, limit=200)
        numbers = [entry["visitor_seq"] for entry in history["events"]]
        assert numbers == list(range(1, len(numbers) + 1)) and history["next"] is None, history
        assert "coffee" not in str(history), "notes are for staff"
        try:
            await frontend.command("Say", conversation=conversation, speaker=as_visitor, body="Hello?")
        except Refused as refused:
            assert refused.code == "conversation_closed", refused
        else:
            raise AssertionError("a closed conversation took a message")
    print(f"{encoding}: opened, accepted, talked and closed {conversation}: {len(numbers)} events for the visitor")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
