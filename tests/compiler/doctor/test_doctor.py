"""What the doctor says of a machine, from what the kernel says of it, and by trying."""

from __future__ import annotations

import json

import pytest
from processes import run_lprc

from lprc.compiler.doctor.control_groups import limits
from lprc.compiler.doctor.noise import Noise
from lprc.compiler.doctor.processor import processor
from lprc.compiler.doctor.trials import targets_to_try, try_target
from lprc.core.process.machine_memory import machine_memory


def _write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_processor_that_says_all(tmp_path):
    _write(
        tmp_path,
        {
            "proc/cpuinfo": "model name\t: Some CPU\nflags\t\t: fpu avx2 avx512_vnni\n\n"
            "model name\t: Some CPU\nflags\t: amx_tile\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
            "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
        },
    )
    cpu = processor(tmp_path)
    assert cpu.model == "Some CPU"
    assert cpu.features == ("avx2", "avx512_vnni")
    assert cpu.governors == ("performance", "powersave")
    assert cpu.turbo is False


def test_a_processor_that_says_nothing(tmp_path):
    cpu = processor(tmp_path)
    assert (cpu.model, cpu.features, cpu.governors, cpu.turbo) == ("", (), (), None)


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
                "sys/fs/cgroup/a/b/memory.max": "1048576\n",
            },
            1.5,
            1048576,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu,cpuacct:/x\n1:memory:/x\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": f"{2**62}\n",
            },
            0.5,
            None,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"}, None, None),
        ({}, None, None),
    ],
)
def test_limits_of_both_kinds_of_control_groups(tmp_path, files, cores, memory):
    _write(tmp_path, files)
    found = limits(tmp_path)
    assert (found.cores, found.memory_bytes) == (cores, memory)
    assert found.machine_memory_bytes == machine_memory()


def _noise(ratio, chance):
    return Noise(200, 1.0, 1.1, ratio, (0.9, 1.1), chance)


def test_what_more_rounds_mend_and_what_they_do_not():
    assert _noise(1.0, 0.02).resolution == 0.02
    assert _noise(1.0, 0.02).rounds_for_a_hundredth == 800
    assert _noise(1.0, 0.005).rounds_for_a_hundredth == 50
    assert _noise(1.02, 0.001).rounds_for_a_hundredth is None
    assert _noise(0.98, 0.01).resolution == pytest.approx(0.03)


def test_one_target_a_runtime_is_tried():
    chosen = targets_to_try()
    assert {"ort-int8", "openvino-int8", "tensorrt-int8", "tvm-int8"} <= {*chosen}
    assert len(chosen) == len({*chosen})


def test_a_target_that_lacks_its_sdk_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("lprc.compiler.compile.emitters.is_any_installed", lambda _: False)
    trial = try_target("ov-fp32", tmp_path)
    assert (trial.builds, trial.runs, trial.works) == (False, False, False)
    assert trial.why == "target 'openvino-fp32' needs openvino"
    assert "pip install" in trial.remedy


def test_a_target_that_builds_what_does_not_run_here(tmp_path, monkeypatch):
    monkeypatch.setattr("lprc.compiler.doctor.trials.obstacle", lambda *_: "there is no GPU")
    trial = try_target("onnx", tmp_path)
    assert (trial.builds, trial.runs, trial.why) == (True, False, "there is no GPU")


def test_the_exit_code_says_whether_a_target_works():
    done = run_lprc("doctor", "--target", "ort-int8", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (trial,) = document["targets"]
    assert (trial["works"], trial["tried"], trial["why"]) == (True, True, "")
    assert document["noise"] is None
    assert document["processor"]["usable_cores"] >= 1
    assert document["data"][0]["images"] > 0

    unknown = run_lprc("doctor", "--target", "ort-in8")
    assert unknown.returncode == 2
    assert "unknown target 'ort-in8'" in unknown.stderr


def test_a_target_that_does_not_work_ends_with_7():
    from lprc.core.targets.runtimes import runtime

    if runtime("tensorrt").obstacle() is None:
        pytest.skip("TensorRT engines run here")
    done = run_lprc("doctor", "--target", "trt-fp32", "--quick")
    assert done.returncode == 7
    assert "tensorrt-fp32" in done.stdout
