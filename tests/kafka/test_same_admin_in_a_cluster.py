"""What admins ask of three nodes: the same of real Kafka and of the embedded broker, with the same answers."""

from collections.abc import Callable
from typing import Any

import pytest
from cluster import KafkaCluster
from questions.alterations import BROKER, LOGGER, SET, alter
from questions.asked import eventually
from questions.cluster_admin import quorum
from questions.configs import describe
from questions.partitions import elect, grow, paged, reassign
from questions.topics import creatable, create

from asking import Asker, new_run
from felice.broker import Broker
from felice.wire.messages.alter_replica_log_dirs import AlterReplicaLogDirsRequest
from felice.wire.messages.describe_log_dirs import DescribeLogDirsRequest

Question = Callable[[dict[int, Asker], str], Any]
QUESTIONS: dict[str, Question] = {}


def question(ask: Question) -> Question:
    """Add a question; its docstring says what is asked."""
    QUESTIONS[ask.__name__] = ask
    return ask


def replicas(asker: Asker, name: str) -> list[tuple[int, list[int], list[int]]]:
    """Return leader, replicas, and those in sync, of each partition."""
    return [
        (partition["leader_id"], partition["replica_nodes"], sorted(partition["isr_nodes"]))
        for partition in paged(asker, name)["topics"][0]["partitions"]
    ]


def made(nodes: dict[int, Asker], name: str, *assignments: list[int]) -> None:
    """Create a topic on these nodes, and wait until all replicas are in sync."""
    create(nodes[1], creatable(name, -1, -1, assignments=list(enumerate(assignments))))
    eventually(lambda: replicas(nodes[1], name) == [(some[0], some, sorted(some)) for some in assignments])


@question
def assignments(nodes: dict[int, Asker], name: str) -> Any:
    """Replicas by hand, when a topic is made and when it grows."""
    tried = [[(0, [1, 2]), (1, [3])], [(0, [1, 2]), (1, [3, 3])], [(0, [3, 1, 2])], [(0, [1, 4])]]
    answers = [create(nodes[1], creatable(name, -1, -1, assignments=some), check=True) for some in tried]
    answers += [create(nodes[1], creatable(name, 1, number), check=True) for number in (3, 4)]
    made(nodes, name, [1, 2], [2, 3])
    answers += [grow(nodes[2], (name, 3, [some]), check=True) for some in ([1], [1, 2, 3], [3, 1], [3, 4], [2, 2])]
    answers.append(grow(nodes[2], (name, 3, [[3, 1]])))
    eventually(lambda: replicas(nodes[1], name)[2:] == [(3, [3, 1], [1, 3])])
    return answers


@question
def moves(nodes: dict[int, Asker], name: str) -> Any:
    """Partitions move to other nodes, to more and to fewer, and their leaders with them."""
    made(nodes, name, [1, 2], [2, 3])
    answers: list[Any] = []
    for index, target, change in [
        (0, [3, 1], True),
        (0, [3], False),
        (0, [1, 2, 3], False),
        (0, [3], True),
        (1, [2, 3], True),
    ]:
        answers.append(reassign(nodes[1], (name, [(index, target)]), change=change))
        if not answers[-1]["responses"][0]["partitions"][0]["error_code"]:
            eventually(lambda i=index, t=target: replicas(nodes[1], name)[i][1:] == (t, sorted(t)))  # type: ignore[misc]
        answers.append([each[1:] for each in replicas(nodes[1], name)])
    answers.append(reassign(nodes[3], (name, [(1, [3, 2])])))
    eventually(lambda: replicas(nodes[1], name)[1][1] == [3, 2])
    answers.append(elect(nodes[1], 0, (name, [1])))
    eventually(lambda: replicas(nodes[1], name)[1][0] == 3)
    answers += [elect(nodes[1], 0, (name, [0, 1])), elect(nodes[1], 1, (name, [0, 1])), replicas(nodes[1], name)]
    return answers


@question
def configs_of_others(nodes: dict[int, Asker], name: str) -> Any:
    """Each broker knows of itself only, and of what is set for all."""
    key = ["message.max.bytes"]
    answers = [describe(asker, kind, str(other), key) for asker in nodes.values() for kind in (BROKER, LOGGER)
               for other in nodes if kind == BROKER or nodes[other] is not asker]  # fmt: skip
    answers += [
        alter(asker, BROKER, str(other), ("message.max.bytes", SET, "1000"), check=True)
        for asker in nodes.values()
        for other in nodes
    ]
    return answers


@question
def directories(nodes: dict[int, Asker], name: str) -> Any:
    """Each broker has what is on it, and moves nothing else."""
    made(nodes, name, [1, 2], [2, 3])
    wanted = DescribeLogDirsRequest.DescribableLogDirTopic(topic=name, partitions=[0, 1])

    def found(asker: Asker) -> tuple[str, list[int]]:
        (result,) = asker.ask(DescribeLogDirsRequest(topics=[wanted]), 4).results
        return result.log_dir, sorted(each.partition_index for topic in result.topics for each in topic.partitions)

    eventually(lambda: [found(asker)[1] for asker in nodes.values()] == [[0], [0, 1], [1]])
    answers: list[Any] = []
    for asker in nodes.values():
        path = found(asker)[0]
        moved = AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic(name=name, partitions=[0, 1])
        request = AlterReplicaLogDirsRequest(
            dirs=[AlterReplicaLogDirsRequest.AlterReplicaLogDir(path=path, topics=[moved])]
        )
        (topic,) = asker.ask(request, 2).results
        answers.append(sorted((each.partition_index, each.error_code) for each in topic.partitions))
    return answers


@question
def voters(nodes: dict[int, Asker], name: str) -> Any:
    """Every node tells the same of the quorum."""
    answers = []
    for asker in nodes.values():
        answer = quorum(asker, "__cluster_metadata", 0)
        (partition,) = answer.topics[0].partitions
        answers.append(
            [
                sorted(voter.replica_id for voter in partition.current_voters),
                partition.leader_id in nodes,
                sorted(node.node_id for node in answer.nodes),
                len(partition.observers),
            ]
        )
    return answers


@pytest.mark.parametrize("name", QUESTIONS)
def test_same_answer_of_three(name: str, kafka3: KafkaCluster) -> None:
    """Three nodes of real Kafka and three of the embedded broker give the same answers."""
    topic = f"{name}-{new_run()}"
    with Broker(nodes=3, auto_create=False, configs={"min.insync.replicas": 2}) as ours:
        answers = []
        for servers in (kafka3.bootstrap_servers, ours.bootstrap_servers):
            nodes = {number + 1: Asker(address, "admin") for number, address in enumerate(servers.split(","))}
            answers.append(QUESTIONS[name](nodes, topic))
            for asker in nodes.values():
                asker.hang_up()
    assert answers[1] == answers[0], QUESTIONS[name].__doc__
