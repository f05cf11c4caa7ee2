"""`sam local` without a container registry: a stand-in for AWS's Lambda image, made from what this machine has.

python -m local.sam_local           # an engine that answers, and the image
sam local invoke --skip-pull-image RotationFunction --event events/rotation/create.json
python -m local.sam_local stop      # the engine, if it was started here
"""
