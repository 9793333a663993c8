"""Questions about client quotas and SCRAM users, which brokers keep."""

import math
from typing import Any

from asking import Asker, comparable
from felice.wire.messages.alter_client_quotas import AlterClientQuotasRequest
from felice.wire.messages.alter_user_scram_credentials import AlterUserScramCredentialsRequest
from felice.wire.messages.describe_client_quotas import DescribeClientQuotasRequest
from felice.wire.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest
from questions.asked import eventually, question

EXACT, DEFAULT, ANY = range(3)

Entity = dict[str, str | None]
"""Names by type; None is the default."""


def alter(asker: Asker, *entries: tuple[Entity, dict[str, float | None]], check: bool = False, version: int = 1) -> Any:
    """Set or (None) remove quotas."""
    asked = [
        AlterClientQuotasRequest.EntryData(
            entity=[AlterClientQuotasRequest.EntityData(entity_type=kind, entity_name=n) for kind, n in entity.items()],
            ops=[
                AlterClientQuotasRequest.OpData(key=key, value=value or 0.0, remove=value is None)
                for key, value in quotas.items()
            ],
        )
        for entity, quotas in entries
    ]
    answer = comparable(asker.ask(AlterClientQuotasRequest(entries=asked, validate_only=check), version))
    for entry in answer["entries"]:
        entry["entity"].sort(key=str)
    return sorted(answer["entries"], key=str)


def describe(asker: Asker, *components: tuple[str, int, str | None], strict: bool = False, version: int = 1) -> Any:
    """Describe quotas; their order does not matter."""
    asked = [
        DescribeClientQuotasRequest.ComponentData(entity_type=kind, match_type=how, match=name)
        for kind, how, name in components
    ]
    answer = comparable(asker.ask(DescribeClientQuotasRequest(components=asked, strict=strict), version))
    for entry in answer["entries"] or ():
        entry["entity"].sort(key=str)
        entry["values"].sort(key=str)
    if answer["entries"]:
        answer["entries"].sort(key=str)
    return answer


@question
def quotas_in_all_versions(asker: Asker) -> Any:
    """Quotas of users, clients, both, and addresses."""
    user, client = asker.name(), asker.name()
    entries: list[tuple[Entity, dict[str, float | None]]] = [
        ({"user": user}, {"producer_byte_rate": 1000.0, "consumer_byte_rate": 2000.0}),
        ({"client-id": client}, {"request_percentage": 50.0}),
        ({"user": user, "client-id": client}, {"controller_mutation_rate": 1.0}),
        ({"user": user, "client-id": None}, {"producer_byte_rate": 7.0}),
        ({"user": None, "client-id": client}, {"producer_byte_rate": 8.0}),
        ({"ip": "10.9.8.7"}, {"connection_creation_rate": 5.0}),
    ]
    answers = [alter(asker, *entries, check=True), describe(asker, ("user", EXACT, user))]
    answers.append(alter(asker, *entries[:3], version=0))
    answers.append(alter(asker, *entries[3:]))
    eventually(lambda: len(describe(asker, ("ip", EXACT, "10.9.8.7"))["entries"]) == 1)
    components: list[tuple[tuple[str, int, str | None], ...]] = [
        (("user", EXACT, user),), (("client-id", EXACT, client),), (("ip", EXACT, "10.9.8.7"),),
        (("user", EXACT, user), ("client-id", EXACT, client)), (("user", EXACT, user), ("client-id", DEFAULT, None)),
        (("user", DEFAULT, None), ("client-id", EXACT, client)), (("user", ANY, None), ("client-id", EXACT, client)),
        (("user", EXACT, user), ("client-id", ANY, None)), (("user", EXACT, "nobody-is-called-this"),),
    ]  # fmt: skip
    answers += [describe(asker, *some, strict=strict) for some in components for strict in (False, True)]
    answers.append(describe(asker, ("user", EXACT, user), version=0))
    answers.append(alter(asker, ({"user": user}, {"consumer_byte_rate": None, "request_percentage": None})))
    answers.append(alter(asker, *((entity, dict.fromkeys(quotas)) for entity, quotas in entries)))
    eventually(lambda: not describe(asker, ("ip", EXACT, "10.9.8.7"))["entries"])
    answers.append(describe(asker, ("user", EXACT, user)))
    return answers


@question
def quotas_that_cannot_be(asker: Asker) -> Any:
    """Keys, values and entities that there are not."""
    user = asker.name()
    wrong: list[tuple[Entity, dict[str, float | None]]] = [
        ({}, {"producer_byte_rate": 1.0}), ({"user": user}, {"unheard_of": 1.0}), ({"nobody": "a"}, {"x": 1.0}),
        ({"user": user}, {"producer_byte_rate": 0.0}), ({"user": user}, {"producer_byte_rate": -1.0}),
        ({"user": user}, {"request_percentage": 0.0}), ({"user": user}, {"controller_mutation_rate": 0.0}),
        ({"ip": "not an address"}, {"connection_creation_rate": 1.0}), ({"ip": ""}, {"connection_creation_rate": 1.0}),
        ({"ip": "10.9.8.6", "user": user}, {"connection_creation_rate": 1.0}),
        ({"ip": "10.9.8.6"}, {"producer_byte_rate": 1.0}), ({"ip": "10.9.8.6"}, {"connection_creation_rate": 1.5}),
        ({"ip": "10.9.8.6"}, {"connection_creation_rate": 0.0}), ({"user": user}, {"connection_creation_rate": 1.0}),
        ({"user": ""}, {"producer_byte_rate": 1.0}), ({"user": user}, {"producer_byte_rate": 1.5}),
        ({"user": user}, {"producer_byte_rate": math.nan}), ({"user": user}, {"producer_byte_rate": math.inf}),
        ({"user": user}, {"producer_byte_rate": 1e19}), ({"user": user}, {"unheard_of": None}), ({"user": user}, {}),
        ({"ip": None}, {"connection_creation_rate": 1.0}), ({"user": user}, {"producer_byte_rate": 0.5}),
        ({"ip": "localhost"}, {"connection_creation_rate": 1.0}), ({"client-id": ""}, {"producer_byte_rate": 1.0}),
    ]  # fmt: skip
    answers = [alter(asker, entry, check=True) for entry in wrong]
    answers.append(alter(asker))
    twice: tuple[Entity, dict[str, float | None]] = ({"user": user}, {"producer_byte_rate": 1.0})
    answers.append(alter(asker, twice, twice, check=True))
    answers.append(
        describe(asker, ("user", EXACT, user), ("user", EXACT, user)),
    )
    answers += [
        describe(asker, component)
        for component in [
            ("nobody", EXACT, "a"), ("", EXACT, "a"), ("user", 3, "a"), ("user", -1, "a"), ("user", EXACT, None),
            ("user", DEFAULT, "a"), ("user", ANY, "a"),
        ]
    ]  # fmt: skip
    answers.append(describe(asker, ("user", EXACT, user), ("ip", EXACT, "10.9.8.6")))
    answers.append(describe(asker, ("client-id", EXACT, user), ("ip", EXACT, "10.9.8.6"), strict=True))
    return answers


def scram(asker: Asker, *changes: tuple[str, int, int | None, bytes, bytes]) -> Any:
    """Set or (iterations None) remove credentials."""
    request = AlterUserScramCredentialsRequest(
        deletions=[
            AlterUserScramCredentialsRequest.ScramCredentialDeletion(name=name, mechanism=mechanism)
            for name, mechanism, iterations, _, _ in changes
            if iterations is None
        ],
        upsertions=[
            AlterUserScramCredentialsRequest.ScramCredentialUpsertion(
                name=name, mechanism=mechanism, iterations=iterations, salt=salt, salted_password=password
            )
            for name, mechanism, iterations, salt, password in changes
            if iterations is not None
        ],
    )
    return sorted(map(comparable, asker.ask(request, 0).results), key=str)


def users(asker: Asker, *names: str) -> Any:
    """Describe users' credentials."""
    asked = [DescribeUserScramCredentialsRequest.UserName(name=name) for name in names]
    answer = comparable(asker.ask(DescribeUserScramCredentialsRequest(users=asked), 0))
    for result in answer["results"]:
        result["credential_infos"].sort(key=str)
    answer["results"].sort(key=str)
    return answer


@question
def scram_users(asker: Asker) -> Any:
    """Credentials are set, described, replaced and removed."""
    one, two = asker.name(), asker.name()
    salted = b"s" * 16, b"p" * 32
    answers = [
        users(asker, one),
        scram(asker, (one, 1, 4096, *salted), (one, 2, 8192, *salted), (two, 1, 4096, *salted)),
    ]
    answers += [scram(asker, (one, 1, 4096, *salted)), scram(asker, (one, 2, 8192, *salted))]
    eventually(lambda: len(users(asker, one)["results"][0]["credential_infos"]) == 2)
    eventually(lambda: users(asker, two)["results"][0]["error_code"] == 0)
    answers += [users(asker, one, two), users(asker, one, one), users(asker, one, "nobody-is-called-this")]
    for everybody in (None, []):
        answer = asker.ask(DescribeUserScramCredentialsRequest(users=everybody), 0)
        answers.append(
            sorted(
                (found.user, sorted((info.mechanism, info.iterations) for info in found.credential_infos))
                for found in answer.results
                if found.user in (one, two)
            )
        )
    answers.append(scram(asker, (one, 2, None, b"", b""), (one, 2, None, b"", b"")))
    answers.append(scram(asker, (one, 2, None, b"", b""), (one, 2, 4096, *salted)))
    answers.append(scram(asker, (one, 1, 16384, *salted), (two, 1, None, b"", b"")))
    eventually(lambda: users(asker, two)["results"][0]["error_code"] != 0)
    answers += [users(asker, one, two), scram(asker, (two, 1, None, b"", b"")), scram(asker, (one, 1, None, b"", b""))]
    answers.append(scram(asker, (one, 2, None, b"", b"")))
    eventually(lambda: users(asker, one)["results"][0]["error_code"] != 0)
    return answers


@question
def scram_users_that_cannot_be(asker: Asker) -> Any:
    """Mechanisms, iterations, salts, passwords and names that cannot be."""
    name = asker.name()
    salted = b"s" * 16, b"p" * 32
    return [
        *(
            scram(asker, change)
            for change in [
                (name, 0, 4096, *salted), (name, 3, 4096, *salted), (name, 1, 4095, *salted), (name, 1, 16385, *salted),
                (name, 1, -1, *salted), ("", 1, 4096, *salted), (name, 1, 4096, b"", b"p"), (name, 1, 4096, b"s", b""),
                (name, 0, None, b"", b""), (name, 9, None, b"", b""), ("", 1, None, b"", b""),
                (name, 1, None, b"", b""),
            ]
        ),
        scram(asker, (name, 1, 4096, *salted), (name, 1, None, b"", b"")),
        scram(asker, (name, 1, 4096, *salted), (name, 1, 5000, *salted)),
        scram(asker, (name, 1, None, b"", b""), (name, 1, None, b"", b"")),
        scram(asker, (name, 1, 1, *salted), (name, 2, 4096, *salted), ("other-" + name, 7, 4096, *salted)),
        scram(asker),
        users(asker, ""),
        users(asker, name, name, "x"),
    ]  # fmt: skip
